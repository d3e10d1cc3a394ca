# What a party may do on the hub. permissions.json is written from CIM's channel table (`node scripts/nix-check.mjs --update`); nix-check
# fails when it differs from what packages/contracts says today.
{ party, id }:
let
  table = builtins.fromJSON (builtins.readFile ./permissions.json);
  named = map (builtins.replaceStrings [ table.placeholder ] [ id ]);
in
{
  publish.allow = named table.${party}.publish.allow;
  subscribe.allow = named table.${party}.subscribe.allow;
}
