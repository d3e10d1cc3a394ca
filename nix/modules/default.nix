# Everything: the core and the shims that make the deployment guide work as written (see compat/README.md).
{
  imports = [
    ./core.nix
    ./compat
  ];
}
