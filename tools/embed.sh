#!/bin/sh
# Write the files of a directory as C: its RELAX NG schema as embedded_schema,
# its definitions (*.xml) as the table embedded_definitions.
#
# usage: sh tools/embed.sh workflows > src/generated/embedded.h
set -eu
LC_ALL=C
export LC_ALL

dir=$1

# The lines of a file as one C string.
quote() {
	sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/	/\\t/g' -e 's/^/	"/' -e 's/$/\\n"/' "$1"
}

# The first paragraph of a file's first comment, on one line.
description() {
	awk '
		!inside && /<!--/ { inside = 1; sub(/.*<!--/, "") }
		inside {
			last = sub(/-->.*/, "")
			gsub(/^[ \t]+|[ \t\r]+$/, "")
			if ($0 == "" && text != "") exit
			if ($0 != "") text = text (text == "" ? "" : " ") $0
			if (last) exit
		}
		END { print text }
	' "$1" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g'
}

echo "/* made by tools/embed.sh from $dir/: do not edit */"
echo
echo "static const char embedded_schema[] ="
quote "$dir/idflow.rng"
echo "	;"
echo
echo "static const ReadyDefinition embedded_definitions[] = {"
for file in "$dir"/*.xml; do
	name=${file##*/}
	printf '\t{"%s",\n\t"%s",\n' "${name%.xml}" "$(description "$file")"
	quote "$file"
	echo "	},"
done
echo "};"
