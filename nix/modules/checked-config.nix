# A daemon's configuration file, read by the daemon itself while the machine is built: a wrong key fails there, and not at the next start.
{ lib, pkgs }:

let
  withoutNull = import ./without-null.nix { inherit lib; };
in
{
  # What is written: the settings without what nobody set.
  file =
    {
      program,
      package,
      settings,
      validate,
    }:
    pkgs.runCommand "${program}.json" {
      text = builtins.toJSON (withoutNull settings);
      passAsFile = [ "text" ];
      nativeBuildInputs = lib.optional validate package;
    } (
      lib.optionalString validate ''
        ${program} --config "$textPath" --check
      ''
      + ''
        cp "$textPath" "$out"
      ''
    );

  option =
    program:
    lib.mkOption {
      type = lib.types.bool;
      default = true;
      example = false;
      description = "Whether the build of the machine runs {command}`${program} --check` on the configuration.";
    };
}
