# `security.acme.enable`: get the certificates that are declared, accept the authority's terms, prove the name over port 80.
{ config, lib, ... }:

let
  inherit (lib) mkOption types mkDefault;
  cfg = config.security.acme;
  names = lib.attrNames cfg.certs;
  given = lib.any (cert: cert.dnsProvider != null || cert.webroot != null || (cert.s3Bucket or null) != null) (lib.attrValues cfg.certs);
in
{
  options.security.acme = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether to order the certificates of {option}`security.acme.certs`. Setting it accepts the terms of the certificate
        authority; a certificate that names no way of proof is proven over port 80, which is opened.
      '';
    };
    certs = mkOption {
      type = types.attrsOf (
        types.submodule (
          { config, ... }:
          {
            config.listenHTTP = lib.mkIf (
              cfg.enable && config.dnsProvider == null && config.webroot == null && (config.s3Bucket or null) == null
            ) (mkDefault ":80");
          }
        )
      );
    };
  };

  config = lib.mkIf cfg.enable {
    security.acme.acceptTerms = mkDefault true;
    networking.firewall.allowedTCPPorts = lib.mkIf (names != [ ] && !given) [ 80 ];

    # The guide orders certificates in one place and names files in another, and says nothing of how they meet. With one certificate
    # they are linked where the files are missing; files an operator puts there are left alone.
    systemd.tmpfiles.rules =
      lib.mkIf
        (
          lib.length names == 1
          && config.services.nats.enable
          && config.services.nats.tls.enable
          && config.services.nats.tls.acmeHost == null
        )
        (
          let
            directory = "/var/lib/acme/${lib.head names}";
            nats = config.services.nats.tls;
          in
          lib.optional (nats.cert != null) "L ${nats.cert} - - - - ${directory}/fullchain.pem"
          ++ lib.optional (nats.key != null) "L ${nats.key} - - - - ${directory}/key.pem"
          ++ lib.optional (nats.ca != null) "L ${nats.ca} - - - - ${directory}/chain.pem"
        );
    # Around the set, not within: a user that is only half there would be one.
    users.users = lib.mkIf (config.services.nats.enable && config.services.nats.tls.enable) { nats.extraGroups = [ "acme" ]; };
  };
}
