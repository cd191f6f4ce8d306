#!/bin/sh
# Waits until whoever started it has ended, in whatever way: then the other end of its input is closed. Kills what is noted
# in the folder: a process by its number, and the group of one as "group-NUMBER". A number may be another's by now, so the
# command is looked at first. See guard.ts.
trap '' INT TERM HUP
folder=$1
while read -r _; do :; done
for note in "$folder"/*; do
  name=${note##*/}
  pid=${name#group-}
  case "$(ps -p "$pid" -o args= 2>/dev/null)" in
    *workerd* | *wrangler*) if [ "$name" = "$pid" ]; then kill -9 "$pid"; else kill -9 -"$pid"; fi 2>/dev/null ;;
  esac
done
rm -rf "$folder"
