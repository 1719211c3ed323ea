#!/bin/sh
# Cargo calls this instead of rustc for the members of the workspace, with rustc's path in front of its arguments.
# Only programs are linked statically: everything below them is compiled as for the tests and shared with them.
# The crate names with underscores in front and build scripts belong to cargo itself.
case " $* " in
    *" --crate-name ___ "* | *" --crate-name build_script_"*) exec "$@" ;;
    *" --crate-type bin "*) exec "$@" -C target-feature=+crt-static -C strip=debuginfo ;;
esac
exec "$@"
