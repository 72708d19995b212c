"""What tests of every tier share: tools of the machine, launchers, clocks, collectors."""
