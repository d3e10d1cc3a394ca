# The link between leaf and hub. In nats-server's words: `leafnodes`.
{ config, lib, ... }:

let
  inherit (lib) mkOption types;
  cim = import ../types.nix { inherit lib; };
  cfg = config.services.nats;
  remotes = cfg.leafnode.remotes;

  rendered = lib.imap0 (
    index: remote:
    {
      url = if remote.user == null then remote.url else "$CIM_REMOTE_${toString index}_URL";
    }
    // lib.optionalAttrs (remote.credentials != null) { credentials = "/run/credentials/nats.service/leaf-${toString index}.creds"; }
    // lib.optionalAttrs (remote.account != null) { inherit (remote) account; }
    // lib.optionalAttrs (remote.tls.ca != null || remote.tls.cert != null) {
      tls =
        lib.optionalAttrs (remote.tls.ca != null) { ca_file = remote.tls.ca; }
        // lib.optionalAttrs (remote.tls.cert != null) {
          cert_file = remote.tls.cert;
          key_file = remote.tls.key;
        };
    }
  ) remotes;

  file =
    example: description:
    mkOption {
      type = types.nullOr cim.secretFile;
      default = null;
      inherit example description;
    };
in
{
  options.services.nats.leafnode = {
    port = mkOption {
      type = types.nullOr types.port;
      default = null;
      example = 7422;
      description = "Hub side: port where leaves join; it is opened in the firewall. Null: none.";
    };
    reconnect = mkOption {
      type = cim.duration;
      default = "1s";
      example = "1s";
      description = "Time between two tries to reach the hub.";
    };
    remotes = mkOption {
      default = [ ];
      example = [
        {
          url = "nats://hub.example.com:7422";
          credentials = "/etc/nats/leaf.creds";
        }
      ];
      description = "Leaf side: hubs to join.";
      type = types.listOf (
        types.submodule {
          options = {
            url = mkOption {
              type = cim.natsUrl;
              example = "nats://hub.example.com:7422";
              description = "Address of the hub's leafnode port, without a password.";
            };
            credentials = file "/etc/nats/leaf.creds" "Credentials file (JWT and seed); systemd hands it over, so root alone may read it.";
            user = mkOption {
              type = types.nullOr (types.strMatching "[A-Za-z0-9._-]{1,63}");
              default = null;
              example = "cim-prod-001";
              description = "User name at the hub: the instance id, where the hub is {option}`cim.registry`.";
            };
            passwordFile = file "/run/secrets/leaf-password" "File with the password of the user.";
            account = mkOption {
              type = types.nullOr types.str;
              default = null;
              example = "CIM";
              description = "Local account that is bound to the hub.";
            };
            tls = {
              ca = file "/etc/nats/certs/hub-ca.pem" "Certificate authority of the hub.";
              cert = file "/etc/nats/certs/leaf-cert.pem" "Client certificate towards the hub.";
              key = file "/etc/nats/certs/leaf-key.pem" "Key of the client certificate.";
            };
          };
        }
      );
    };
  };

  config = lib.mkIf cfg.enable {
    services.nats.settings.leafnodes = lib.mkMerge [
      (lib.mkIf (remotes != [ ]) {
        remotes = rendered;
        reconnect = cfg.leafnode.reconnect;
      })
      (lib.mkIf (cfg.leafnode.port != null) {
        port = cfg.leafnode.port;
        # A leaf that comes through a tunnel would leave it for an address it may not reach.
        no_advertise = lib.mkDefault true;
      })
    ];

    services.nats.secretVariables = lib.listToAttrs (
      lib.concatLists (
        lib.imap0 (
          index: remote:
          lib.optional (remote.user != null && remote.passwordFile != null) (
            lib.nameValuePair "CIM_REMOTE_${toString index}_URL" {
              file = remote.passwordFile;
              before = "${lib.head (lib.splitString "://" remote.url)}://${remote.user}:";
              after = "@${lib.last (lib.splitString "://" remote.url)}";
            }
          )
        ) remotes
      )
    );

    networking.firewall.allowedTCPPorts = lib.mkIf (cfg.leafnode.port != null) [ cfg.leafnode.port ];

    systemd.services.nats.serviceConfig.LoadCredential = lib.concatLists (
      lib.imap0 (index: remote: lib.optional (remote.credentials != null) "leaf-${toString index}.creds:${remote.credentials}") remotes
    );

    assertions = lib.concatLists (
      lib.imap0 (
        index: remote:
        let
          path = "services.nats.leafnode.remotes.${toString index}";
        in
        [
          {
            assertion = !lib.hasInfix "@" remote.url;
            message = "${path}.url holds a user or password, and the store is readable for everybody; use ${path}.credentials, or ${path}.user and ${path}.passwordFile.";
          }
          {
            assertion = (remote.user == null) == (remote.passwordFile == null);
            message = "${path}: user and passwordFile belong together; set both or neither.";
          }
          {
            assertion = remote.user == null || remote.credentials == null;
            message = "${path}: credentials and user are two ways to log in; keep one.";
          }
          {
            assertion = (remote.tls.cert == null) == (remote.tls.key == null);
            message = "${path}.tls: cert and key belong together; set both or neither.";
          }
        ]
      ) remotes
    );
  };
}
