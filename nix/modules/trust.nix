# Whose work may run. Public keys only: nothing here is secret.
{
  lib,
  config,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;
  cim = import ./types.nix { inherit lib; };
  json = (pkgs.formats.json { }).type;

  key = types.submodule {
    options = {
      name = mkOption {
        type = types.strMatching ".{1,100}";
        example = "acme";
        description = "Whose key it is, for people.";
      };
      key = mkOption {
        type = cim.publicKey;
        example = "AAQC5XWZ6UUUHR6CYBMRWHQVQ5PPKVDRWXQHK7NNRMT5HVZZNXK5DVYV";
        description = "Public key; {command}`alchemist keys show` prints it.";
      };
      validFrom = mkOption {
        type = types.nullOr cim.instant;
        default = null;
        example = "2026-01-01T00:00:00Z";
        description = "From when it may sign.";
      };
      validUntil = mkOption {
        type = types.nullOr cim.instant;
        default = null;
        example = "2027-01-01T00:00:00Z";
        description = "Until when it may sign. Nothing new of it is taken in after that; what was taken in before keeps running.";
      };
      scopes = mkOption {
        type = types.nullOr (types.attrsOf json);
        default = null;
        example = {
          names = [ "invoice-*" ];
        };
        description = "What a publisher may sign: names, capabilities, grants. docs/config.md has the keys; the build of the machine checks them.";
      };
    };
  };

  keys =
    description:
    mkOption {
      type = types.listOf key;
      default = [ ];
      example = [
        {
          name = "acme";
          key = "AAQC5XWZ6UUUHR6CYBMRWHQVQ5PPKVDRWXQHK7NNRMT5HVZZNXK5DVYV";
        }
      ];
      inherit description;
    };
in
{
  options.cim.trust = {
    publishers = keys "Whose bundles may run here. Empty: none may.";
    operators = keys "Who may sign what is deployed. Empty: unsigned documents from the hub are accepted.";
    operatorThreshold = mkOption {
      type = types.ints.between 1 16;
      default = 1;
      example = 2;
      description = "How many different operators must sign a deployment or a trust document.";
    };
    logs = keys "Keys of the transparency log. When given, a bundle that is not in the log is not taken in.";
  };

  config.assertions = [
    {
      assertion = config.cim.trust.operatorThreshold <= lib.max 1 (lib.length config.cim.trust.operators);
      message = "cim.trust.operatorThreshold: ${toString config.cim.trust.operatorThreshold} of ${toString (lib.length config.cim.trust.operators)} operators can never sign; lower it or add operators.";
    }
  ];
  config.warnings =
    lib.optional (config.cim.nodeAgent.enable && config.cim.trust.publishers == [ ])
      "cim.trust.publishers is empty: no bundle can run on this instance; add the key that \"alchemist keys show\" prints.";
}
