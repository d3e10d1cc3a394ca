# Whether a hub of this nats-server judges what a leaf sends (packages/contracts, `leafLimitsKept`; nix-check compares the two). Before
# 2.11.16, 2.12.7 and 2.14.0 it trusts the leaf's own server to keep the limits.
version:
let
  since = from: builtins.compareVersions version from >= 0;
  minor = builtins.match "2[.](1[12])[.].*" version;
in
since "2.14" || (minor == [ "11" ] && since "2.11.16") || (minor == [ "12" ] && since "2.12.7")
