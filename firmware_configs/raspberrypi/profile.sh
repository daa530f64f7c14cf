# People use the same log and the same model as the services.
if [ -r /etc/stibium/stibium.env ]; then
    STIBIUM_LOG=$(sed -n 's/^STIBIUM_LOG=//p' /etc/stibium/stibium.env)
    STIBIUM_MODEL=$(sed -n 's/^STIBIUM_MODEL=//p' /etc/stibium/stibium.env)
    [ -z "$STIBIUM_LOG" ] || export STIBIUM_LOG
    if [ -n "$STIBIUM_MODEL" ]; then export STIBIUM_MODEL; else unset STIBIUM_MODEL; fi
    STIBIUM_MODEL_SHA256=$(sed -n 's/^STIBIUM_MODEL_SHA256=//p' /etc/stibium/stibium.env)
    if [ -n "$STIBIUM_MODEL_SHA256" ]; then export STIBIUM_MODEL_SHA256; else unset STIBIUM_MODEL_SHA256; fi
fi
