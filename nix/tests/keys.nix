# Keys, passwords and a token of the tests. They guard nothing: real ones come from `alchemist keys new` and from sops-nix or agenix.
{
  publisher = {
    key = "ABQEFCDJ2EY5CKBAY6UPUUNNVIZGM37WA7BEOJ7BH2U7EUSZOBLW7QNT";
    seed = "SAAK2LAI6A6HGYJLDPV3WV5DEPN67NEIYKPIYLDKQ4SGYHRYTZELLCQUPM";
  };
  operator = {
    key = "OBL5MYFDSBQIRITJH53G5JTQUKGKCNFT2L3J3CYEKPC37A45X2A3K7VF";
    seed = "SOAA6UUNONDC45LELHWQ3H3KBKIT25ZZTUMCV6ZTK27PYNODNOKO6P4SIE";
  };
  token = "token-of-the-tests-and-of-nothing-else";
  passwords = {
    operator = "operator-password-of-this-test";
    leaf = "leaf-password-of-this-test";
  };
}
