# Who may do what on this nats-server. No user is left without a secret: nats-server lets in whoever names a user that has none.
{ config, lib, ... }:

let
  inherit (lib) mkOption types;
  cim = import ../types.nix { inherit lib; };
  cfg = config.services.nats;
  byCertificate = cfg.tls.enable && cfg.tls.verifyAndMap;

  subjects = types.listOf (types.strMatching "[^ \t\n]+");
  permission = types.coercedTo subjects (allow: { inherit allow; }) (
    types.submodule {
      options = {
        allow = mkOption {
          type = types.nullOr subjects;
          default = null;
          example = [ "events.>" ];
          description = "Subjects that are allowed; null: all.";
        };
        deny = mkOption {
          type = types.nullOr subjects;
          default = null;
          example = [ "$SYS.>" ];
          description = "Subjects that are denied.";
        };
      };
    }
  );

  permissionOption =
    verb:
    mkOption {
      type = types.nullOr permission;
      default = null;
      example = [ "agent.>" ];
      description = "Subjects the user may ${verb}, as a list or as {allow, deny}. Null: all.";
    };

  withoutNull = import ../without-null.nix { inherit lib; };

  # Name, secret and place of every user, in the order of the file.
  entries =
    map (user: {
      # A user with neither is refused below, in words that need a name.
      name = if user.user != null then user.user else if user.nkey != null then user.nkey else "(without a name)";
      inherit (user) user nkey passwordFile account;
      permissions = withoutNull user.permissions;
    }) cfg.authorization.users
    ++ lib.mapAttrsToList (name: user: {
      inherit name;
      user = name;
      nkey = null;
      inherit (user) passwordFile permissions account;
    }) cfg.authorization.internalUsers;

  hasPassword = entry: entry.nkey == null && !byCertificate;
  generated = entry: hasPassword entry && entry.passwordFile == null;
  fileOf = entry: if entry.passwordFile != null then entry.passwordFile else "${config.cim.secrets.directory}/nats-${entry.name}";
  variableOf = index: "CIM_PASSWORD_${toString index}";
  names = map (entry: entry.name) entries;

  # A hub has two accounts: what leaves can reach has no JetStream, and single subjects cross (docs/decisions/0013).
  hub = lib.any (entry: entry.account != null) entries;
  accountOf = entry: if entry.account == null then "CIM" else entry.account;
  written = lib.imap0 (index: entry: {
    account = accountOf entry;
    user =
      (if entry.nkey != null then { inherit (entry) nkey; } else { user = entry.name; })
      // lib.optionalAttrs (hasPassword entry) { password = "$" + variableOf index; }
      // lib.optionalAttrs (entry.permissions != { }) { inherit (entry) permissions; };
  }) entries;
  usersOf = account: map (one: one.user) (lib.filter (one: one.account == account) written);
  table = builtins.fromJSON (builtins.readFile ./permissions.json);
in
{
  options.services.nats.authorization = {
    users = mkOption {
      default = [ ];
      example = [
        {
          user = "cim-agent";
          permissions.publish = [ "agent.>" ];
        }
      ];
      description = "Users of this nats-server. The node-agent's own login is added by itself.";
      type = types.listOf (
        types.submodule {
          options = {
            user = mkOption {
              type = types.nullOr (types.strMatching "[A-Za-z0-9._@=,-]{1,200}");
              default = null;
              example = "cim-agent";
              description = "Name of the user; with {option}`services.nats.tls.verifyAndMap` what the certificate says.";
            };
            nkey = mkOption {
              type = types.nullOr (types.strMatching "U[A-Z2-7]{55}");
              default = null;
              example = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
              description = "Public nkey instead of a name.";
            };
            passwordFile = mkOption {
              type = types.nullOr cim.secretFile;
              default = null;
              example = "/run/secrets/nats-cim-agent";
              description = "File with the password. Null: one is made at first boot, see {option}`cim.secrets.directory`.";
            };
            account = mkOption {
              type = types.nullOr (types.enum [ "HUB" "CIM" ]);
              default = null;
              example = "HUB";
              description = "On a hub, the account of the user: `CIM`, where leaves and people are, or `HUB`, where JetStream is. Null: `CIM`.";
            };
            permissions = {
              publish = permissionOption "publish to";
              subscribe = permissionOption "subscribe to";
              allow_responses = mkOption {
                type = types.nullOr types.bool;
                default = null;
                example = true;
                description = "Whether the user may answer requests it receives.";
              };
            };
          };
        }
      );
    };
    internalUsers = mkOption {
      internal = true;
      default = { };
      example = {
        cim-node-agent = { };
      };
      description = "Logins of CIM's own daemons and of the leaves of a hub.";
      type = types.attrsOf (
        types.submodule {
          options = {
            passwordFile = mkOption {
              type = types.nullOr cim.secretFile;
              default = null;
              example = "/run/secrets/leaf";
              description = "File with the password; null: made at first boot.";
            };
            account = mkOption {
              type = types.nullOr (types.enum [ "HUB" "CIM" ]);
              default = null;
              example = "HUB";
              description = "Account of the hub; null on a leaf.";
            };
            permissions = mkOption {
              type = types.attrsOf types.anything;
              default = { };
              example = {
                publish.allow = [ "a.>" ];
              };
              description = "Permissions as nats-server writes them; empty: all.";
            };
          };
        }
      );
    };
  };

  config = lib.mkIf (cfg.enable && entries != [ ]) {
    services.nats.settings =
      if hub then
        {
          accounts = {
            HUB = {
              jetstream = "enabled";
              users = usersOf "HUB";
              exports = map (
                { subject, answers }:
                {
                  service = subject;
                  accounts = [ "CIM" ];
                }
                // lib.optionalAttrs (answers == "many") { response_type = "stream"; }
              ) table.crossings;
            };
            CIM = {
              users = usersOf "CIM";
              imports = map (
                { subject, ... }:
                {
                  service = {
                    account = "HUB";
                    inherit subject;
                  };
                }
              ) table.crossings;
              mappings = table.domainMappings;
            };
          };
        }
      else
        { authorization.users = map (one: one.user) written; };

    services.nats.secretVariables = lib.listToAttrs (
      lib.concatLists (
        lib.imap0 (index: entry: lib.optional (hasPassword entry) (lib.nameValuePair (variableOf index) { file = fileOf entry; })) entries
      )
    );

    cim.secrets.generate = map (entry: "nats-${entry.name}") (lib.filter generated entries);

    assertions = [
      {
        assertion = lib.unique names == names;
        message = "services.nats.authorization.users: a user is named twice; nats-server would keep one of them. Names: ${lib.concatStringsSep ", " names}.";
      }
    ]
    ++ lib.imap0 (index: user: {
      assertion = (user.user == null) != (user.nkey == null);
      message = "services.nats.authorization.users.${toString index}: set exactly one of user and nkey.";
    }) cfg.authorization.users;

    warnings = map (
      entry:
      "services.nats.authorization.users: \"${entry.name}\" has no secret, and nats-server would let anybody in under that name; a password is made in ${fileOf entry}. Set passwordFile or nkey to choose your own."
    ) (lib.filter (entry: generated entry && !(cfg.authorization.internalUsers ? ${entry.name})) entries);
  };
}
