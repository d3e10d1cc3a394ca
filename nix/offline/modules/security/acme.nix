# nixos/modules/security/acme/default.nix
{ lib, config, ... }:

let
  inherit (lib) mkOption types;
  cfg = config.security.acme;
  optional =
    type:
    mkOption {
      type = types.nullOr type;
      default = null;
    };
in
{
  options.security.acme = {
    acceptTerms = mkOption {
      type = types.bool;
      default = false;
    };
    certs = mkOption {
      default = { };
      type = types.attrsOf (
        types.submodule [
          {
            options = {
              email = optional types.str;
              dnsProvider = optional types.str;
              webroot = optional types.str;
              s3Bucket = optional types.str;
              listenHTTP = optional types.str;
              group = mkOption {
                type = types.str;
                default = "acme";
              };
              postRun = mkOption {
                type = types.lines;
                default = "";
              };
            };
          }
        ]
      );
    };
  };

  config.assertions = lib.optionals (cfg.certs != { }) (
    [
      {
        assertion = cfg.acceptTerms;
        message = "You must accept the CA's terms of service before using the ACME module by setting `security.acme.acceptTerms` to `true`.";
      }
    ]
    ++ lib.mapAttrsToList (name: cert: {
      assertion = lib.length (lib.filter (value: value != null) [ cert.dnsProvider cert.webroot cert.s3Bucket cert.listenHTTP ]) == 1;
      message = "Exactly one of the options `security.acme.certs.${name}.dnsProvider`, `.webroot`, `.listenHTTP` and `.s3Bucket` is required.";
    }) cfg.certs
  );
  config.users.groups = lib.mkIf (cfg.certs != { }) { acme = { }; };
}
