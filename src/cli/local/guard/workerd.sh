#!/bin/sh
# Stands for workerd where Miniflare and wrangler start it: notes its process number, then becomes it. See guard.ts.
if [ -d "$VERGE_GUARDED" ]; then : > "$VERGE_GUARDED/$$"; fi
exec "$VERGE_WORKERD" "$@"
