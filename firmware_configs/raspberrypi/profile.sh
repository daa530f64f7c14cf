# People write into the same log as the services.
export STIBIUM_LOG=/var/lib/stibium/readings.db
