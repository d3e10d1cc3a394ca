# Whose work may run. Public keys only: nothing here is secret.
{ lib, config, ... }:

let
  inherit (lib) mkOption types;
  cim = import ./types.nix { inherit lib; };

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
  };

  config.warnings =
    lib.optional (config.cim.nodeAgent.enable && config.cim.trust.publishers == [ ])
      "cim.trust.publishers is empty: no bundle can run on this instance; add the key that \"alchemist keys show\" prints.";
}
