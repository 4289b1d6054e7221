"""What tools/weir, tools/carry and the tests on QEMU share."""
