user nobody
runs python3 --version
runs ip -V
runs perl -e 'print "$^V\n"'
