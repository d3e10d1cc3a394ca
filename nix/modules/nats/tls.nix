# TLS for clients of this nats-server.
{ config, lib, ... }:

let
  inherit (lib) mkOption types;
  cim = import ../types.nix { inherit lib; };
  cfg = config.services.nats;

  file =
    example: description:
    mkOption {
      type = types.nullOr cim.secretFile;
      default = null;
      inherit example description;
    };
in
{
  options.services.nats.tls = {
    enable = lib.mkEnableOption "TLS for clients";
    cert = file "/etc/nats/certs/server-cert.pem" "Certificate of the server with its chain, PEM.";
    key = file "/etc/nats/certs/server-key.pem" "Key of the certificate; the user nats must be able to read it.";
    ca = file "/etc/nats/certs/ca.pem" "Certificate authority of clients, PEM.";
    verify = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether every client must show a certificate of the authority.";
    };
    verifyAndMap = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether the name in a client's certificate decides which user it is.";
    };
    acmeHost = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "cim-001.example.com";
      description = "Take certificate and key from {option}`security.acme.certs` of this name.";
    };
  };

  config = lib.mkIf (cfg.enable && cfg.tls.enable) {
    services.nats.tls = lib.mkIf (cfg.tls.acmeHost != null) {
      cert = lib.mkDefault "/var/lib/acme/${cfg.tls.acmeHost}/fullchain.pem";
      key = lib.mkDefault "/var/lib/acme/${cfg.tls.acmeHost}/key.pem";
    };
    users.users.nats.extraGroups = lib.mkIf (cfg.tls.acmeHost != null) [ "acme" ];
    systemd.services.nats = lib.mkIf (cfg.tls.acmeHost != null) {
      wants = [ "acme-${cfg.tls.acmeHost}.service" ];
      after = [ "acme-${cfg.tls.acmeHost}.service" ];
    };

    services.nats.settings.tls = {
      cert_file = cfg.tls.cert;
      key_file = cfg.tls.key;
    }
    // lib.optionalAttrs (cfg.tls.ca != null) { ca_file = cfg.tls.ca; }
    // lib.optionalAttrs cfg.tls.verify { verify = true; }
    // lib.optionalAttrs cfg.tls.verifyAndMap { verify_and_map = true; };

    assertions = [
      {
        assertion = cfg.tls.cert != null && cfg.tls.key != null;
        message = "services.nats.tls.enable: services.nats.tls.cert and services.nats.tls.key are not set; set both, or services.nats.tls.acmeHost.";
      }
      {
        assertion = (cfg.tls.verify || cfg.tls.verifyAndMap) -> cfg.tls.ca != null;
        message = "services.nats.tls.verify: services.nats.tls.ca is not set, so no client could be verified; set it to the authority that signs client certificates.";
      }
    ];
  };
}
