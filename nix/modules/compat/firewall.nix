# The guide appends rules to INPUT; the firewall runs them again at each reload. The same rules are deleted when it stops, so that there
# is never more than one of each.
{ config, lib, ... }:

let
  cfg = config.networking.firewall;
  appended = lib.filter (line: builtins.match "[ \t]*ip6?tables (-w )?-A INPUT .*" line != null) (lib.splitString "\n" cfg.extraCommands);
  deletion = line: "${lib.replaceStrings [ "-A INPUT" ] [ "-D INPUT" ] line} 2> /dev/null || true";
in
{
  config = lib.mkIf (cfg.enable && (config.cim.nodeAgent.enable || config.services.nats.enable)) {
    networking.firewall.extraStopCommands = lib.mkIf (appended != [ ]) (lib.concatMapStringsSep "\n" deletion appended);
  };
}
