# `services.fail2ban.jails.<name>.maxretry`, filters by name, and the filter the guide names. nixpkgs ignores a filter given as text and
# takes the jail's name instead, so it goes into `settings` as well, which wins.
{ config, lib, ... }:

let
  inherit (lib) mkOption types;
in
{
  options.services.fail2ban.jails = mkOption {
    type = types.attrsOf (
      types.either types.lines (
        types.submodule (
          { config, ... }:
          {
            options.maxretry = mkOption {
              type = types.nullOr types.ints.positive;
              default = null;
              example = 3;
              description = "Failures before an address is banned; written into `settings`.";
            };
            config.settings = lib.mkMerge [
              (lib.mkIf (config.maxretry != null) { inherit (config) maxretry; })
              (lib.mkIf (builtins.isString config.filter) { inherit (config) filter; })
              (lib.mkIf (config.filter == "nats-auth") {
                backend = lib.mkDefault "systemd";
                port = lib.mkDefault "4222,7422";
              })
            ];
          }
        )
      )
    );
  };

  config = lib.mkIf config.services.fail2ban.enable {
    # The line nats-server writes: [ERR] 192.0.2.7:52840 - cid:5 - authentication error - User "a"
    environment.etc."fail2ban/filter.d/nats-auth.conf".text = ''
      [Definition]
      failregex = \[ERR\] <ADDR>:\d+ - (?:cid|lid|wid|mid):\d+ - authentication error
      ignoreregex =
      journalmatch = _SYSTEMD_UNIT=nats.service
    '';
  };
}
