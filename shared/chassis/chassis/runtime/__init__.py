"""Running a service: settings, logging, clock, process roles and the command line."""
