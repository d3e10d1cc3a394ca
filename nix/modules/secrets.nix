# Secrets that a machine makes for itself: a password nobody chose, made once, kept for root alone and never in the store.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;
  cfg = config.cim.secrets;
in
{
  options.cim.secrets = {
    directory = mkOption {
      type = types.strMatching "/var/lib/[a-z0-9-]+";
      default = "/var/lib/cim-secrets";
      description = "Where generated passwords lie, one file each, mode 0600, owner root.";
      example = "/var/lib/cim-secrets";
    };
    generate = mkOption {
      type = types.listOf (types.strMatching "[A-Za-z0-9._@=,-]{1,220}");
      default = [ ];
      example = [ "nats-node-agent" ];
      description = "Names of the passwords to make when they are missing. To rotate one, delete its file and restart what uses it.";
    };
  };

  config = lib.mkIf (cfg.generate != [ ]) {
    systemd.services.cim-secrets = {
      description = "Passwords this CIM instance makes for itself";
      wantedBy = [ "multi-user.target" ];
      before = [ "nats.service" ];
      path = [ pkgs.coreutils ];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        UMask = "0077";
        StateDirectory = builtins.baseNameOf cfg.directory;
        StateDirectoryMode = "0700";
        ProtectSystem = "strict";
        ProtectHome = true;
        PrivateNetwork = true;
        NoNewPrivileges = true;
      };
      # A full name appears only when the password is on disk: a power cut leaves no empty one.
      script = ''
        cd ${cfg.directory}
        for name in ${lib.concatMapStringsSep " " lib.escapeShellArg (lib.unique cfg.generate)}; do
          if [ ! -s "$name" ]; then
            head -c 32 /dev/urandom | base64 -w 0 | tr -d '+/=' > "$name.new"
            sync "$name.new"
            mv "$name.new" "$name"
          fi
        done
      '';
    };
  };
}
