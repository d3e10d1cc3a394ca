# The file itself: /etc/nats/nats.conf, one key a line, then `extraConfig`, whose keys win.
#
# Secrets are variables. nats.service writes their values to /run/nats/secrets.conf before it starts, from files systemd hands over, and
# the configuration includes that file; the store holds names only.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;
  cim = import ../types.nix { inherit lib; };
  cfg = config.services.nats;
  variables = cfg.secretVariables;
  names = lib.attrNames variables;

  # What nats-server refuses to change on reload. Everything else is taken over by a reload, TLS files too.
  fixed = lib.filterAttrs (name: _: lib.elem name [ "host" "port" "http" "server_name" "jetstream" "leafnodes" "cluster" ]) cfg.settings;

  keys = lib.mapAttrsToList (name: value: "${builtins.toJSON name}: ${builtins.toJSON value}\n") (
    lib.filterAttrs (_: value: value != null && value != { }) (
      cfg.settings
      # An empty `jetstream` means on, in a directory that is lost at reboot.
      // lib.optionalAttrs (!cfg.jetstream) { jetstream.enabled = false; }
    )
  );
  bare = lib.replaceStrings (map (name: "\"$" + name + "\"") names) (map (name: "$" + name) names);
  text =
    lib.optionalString (names != [ ]) "include ../../run/nats/secrets.conf\n"
    + bare (lib.concatStrings keys)
    + lib.optionalString (cfg.extraConfig != "") "\n${cfg.extraConfig}";

  remoteTls = lib.concatMap (remote: [ remote.tls ]) cfg.leafnode.remotes;
  filesOf = name: lib.unique (lib.filter (path: path != null) (map (tls: tls.${name}) ([ cfg.tls ] ++ remoteTls)));
  certificates = filesOf "cert" ++ filesOf "ca";
  privateKeys = filesOf "key";
  throwAway =
    target: path: ''-e ${lib.escapeShellArg ''s|"${path}"|"''}"$scratch"${lib.escapeShellArg ''/${target}"|g''}'';

  # `nats-server -t` opens certificates and the include, which exist only on the machine. So a copy is checked in which they are
  # throw-away ones, in the same places relative to the file; what is installed is the real text.
  configFile =
    pkgs.runCommand "nats.conf"
      {
        inherit text;
        passAsFile = [ "text" ];
        nativeBuildInputs = lib.optionals cfg.validateConfig [
          config.cim.nats.package
          pkgs.openssl
        ];
      }
      (
        lib.optionalString cfg.validateConfig ''
          scratch=$(mktemp -d)
          mkdir -p "$scratch/etc/nats" "$scratch/run/nats" "$scratch/store"
          openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=check \
            -keyout "$scratch/key.pem" -out "$scratch/cert.pem" 2> "$scratch/openssl.log" || { cat "$scratch/openssl.log"; exit 1; }
          sed ${
            lib.concatStringsSep " " (
              [ "-e ''" ]
              ++ map (throwAway "cert.pem") certificates
              ++ map (throwAway "key.pem") privateKeys
              ++ [ (throwAway "store" cfg.dataDir) ]
            )
          } "$textPath" > "$scratch/etc/nats/nats.conf"
          : > "$scratch/run/nats/secrets.conf"
          ${lib.concatMapStrings (
            name:
            let
              variable = variables.${name};
            in
            "echo ${lib.escapeShellArg "${name}: \"${variable.before}throwaway${variable.after}\""} >> \"$scratch/run/nats/secrets.conf\"\n"
          ) names}
          nats-server -c "$scratch/etc/nats/nats.conf" -t
          rm -rf "$scratch"
        ''
        + ''
          cp "$textPath" "$out"
        ''
      );

  # Runs as nats, before the server. A password that could break out of its quotes is refused with its name.
  writeSecrets = pkgs.writeShellScript "nats-secrets" ''
    set -eu
    umask 077
    : > /run/nats/secrets.conf.new
    ${lib.concatMapStrings (
      name:
      let
        variable = variables.${name};
      in
      ''
        value=$(cat "$CREDENTIALS_DIRECTORY/${name}")
        case "$value" in
          "" | *[!A-Za-z0-9._~-]*)
            echo "nats: ${variable.file}: expected a password of letters, digits and . _ ~ -" >&2
            exit 1
            ;;
        esac
        printf '${name}: "%s%s%s"\n' ${lib.escapeShellArg variable.before} "$value" ${lib.escapeShellArg variable.after} >> /run/nats/secrets.conf.new
      ''
    ) names}
    mv /run/nats/secrets.conf.new /run/nats/secrets.conf
  '';
in
{
  options.services.nats = {
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      example = ''
        max_payload: 8MB
        write_deadline: "10s"
      '';
      description = "Text after {option}`services.nats.settings`, in nats-server's own language. Its keys win.";
    };
    secretScript = mkOption {
      internal = true;
      readOnly = true;
      type = types.package;
      default = writeSecrets;
      example = lib.literalExpression "pkgs.writeShellScript …";
      description = "What writes the values of the variables before the server starts.";
    };
    secretVariables = mkOption {
      internal = true;
      default = { };
      example = {
        CIM_PASSWORD_0.file = "/run/secrets/nats";
      };
      description = "Variables of the configuration whose values come from files.";
      type = types.attrsOf (
        types.submodule {
          options = {
            file = mkOption {
              type = types.nullOr cim.secretFile;
              example = "/run/secrets/nats";
              description = "File with the value.";
            };
            before = mkOption {
              type = types.str;
              default = "";
              example = "nats://user:";
              description = "Text before the value.";
            };
            after = mkOption {
              type = types.str;
              default = "";
              example = "@hub:7422";
              description = "Text after the value.";
            };
          };
        }
      );
    };
  };

  config = lib.mkIf cfg.enable {
    environment.etc."nats/nats.conf".source = configFile;

    systemd.services.nats = {
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ] ++ lib.optional (config.cim.secrets.generate != [ ]) "cim-secrets.service";
      requires = lib.optional (config.cim.secrets.generate != [ ]) "cim-secrets.service";
      reloadTriggers = [ configFile ];
      restartTriggers = [ (builtins.toJSON fixed) ];
      path = [ pkgs.coreutils ];
      serviceConfig = {
        # Above nixpkgs' own line, below a user's mkForce.
        ExecStart = lib.mkOverride 90 "${config.cim.nats.package}/bin/nats-server -c /etc/nats/nats.conf";
        RuntimeDirectory = "nats";
        RuntimeDirectoryMode = "0750";
        RestartSec = 1;
        SystemCallArchitectures = "native";
        RemoveIPC = true;
        LoadCredential = map (name: "${name}:${variables.${name}.file}") names;
      }
      // lib.optionalAttrs (names != [ ]) { ExecStartPre = "${writeSecrets}"; };
    };
  };
}
