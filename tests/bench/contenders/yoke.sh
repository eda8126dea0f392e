# yoke: one worker, its own run directory; needs no privileges. YOKED names another build.
supports="http tcp"
run(){
  local mode=http
  [ "$KIND" = tcp ] && mode=tcp
  mkdir -p "$RUN/run"
  cat > "$RUN/yoke.json" <<C
{
  "workers": 1,
  "log_level": "warn",
  "listeners": { "f": { "bind": "127.0.0.1:$PORT", "mode": "$mode", "pool": "b", "idle_timeout": "120s" } },
  "pools": { "b": { "targets": ["127.0.0.1:$B1", "127.0.0.1:$B2"] } }
}
C
  exec "${YOKED:-yoked}" --config "$RUN/yoke.json" --run-dir "$RUN/run"
}
