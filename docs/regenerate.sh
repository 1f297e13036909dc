#!/usr/bin/env bash
# Keeps the pages true: writes anew what README.md and docs/*.md show of programs.
#
#   docs/regenerate.sh           runs the programs, and writes what they print and draw into the pages and docs/pictures
#   docs/regenerate.sh --check   writes nothing, and fails with the difference
#   --all                        runs the programs that take minutes as well; those that need other files are skipped without them
#
# A comment on a line of its own names the command whose output the block or table below it is:
#
#   <!-- output of: COMMAND -->
#
# and the command that draws a picture of docs/pictures, and where it puts it:
#
#   <!-- NAME.svg: FILE of: COMMAND -->
#
# `of, but for times:` in the place of `of:` leaves figures that change from run to run out of the comparison: times, shares of time, the
# order of rows, and lines in the source files of crates; `of, in minutes:` is for --all. What stands behind a pipe is a filter: a program runs once.
set -euo pipefail
cd "$(dirname "$0")/.."

check='' all=''
for argument; do
  case $argument in
    --check) check=1 ;;
    --all) all=1 ;;
    *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p;}' "$0" >&2; exit 2 ;;
  esac
done

pages=(README.md docs/*.md)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=''
fail() { echo "docs: $*" >&2; failed=1; }

# What a program prints; it runs once, whatever the filters behind its pipes.
printed() {
  local program=${1%% | *}
  local output=$work/$(cksum <<<"$program" | tr -d ' ')
  if [[ ! -e $output ]]; then
    echo "running $program" >&2
    if ! bash -c "$program" >"$output.part" 2>"$output.errors"; then
      cat "$output.errors" >&2
      return 1
    fi
    mv "$output.part" "$output"
  fi
  if [[ $1 == *' | '* ]]; then bash -o pipefail -c "${1#* | }" <"$output"; else cat "$output"; fi
}

# Files that a command reads and that the repository does not carry.
lacks_files() {
  local option='' word
  for word in $1; do
    case $option in
      --data | --base | --weights | --reference | --brown) [[ -e $word ]] || return 0 ;;
    esac
    option=$word
  done
  return 1
}

# Whether a command is to be run, by what stands behind `of`.
runs() {
  [[ $1 != ', in minutes' ]] && return
  [[ -n $all ]] && ! lacks_files "$2"
}

# Text without what changes from run to run.
steady() {
  if [[ $1 != ', but for times' ]]; then cat; return; fi
  sed -E -e 's/="[^"]*"//g' -e 's/[0-9.]+ ?(ns|µs|ms|s)([^[:alnum:]]|$)/..\2/g' -e 's/[0-9.]+ %/../g' \
    -e 's#(examples/[a-z_0-9]+\.rs):#\1@#g' -e 's#(/[a-z_0-9]+\.rs):[0-9]+#\1#g' -e 's#\.rs@#.rs:#g' \
    -e 's/(─)+/─/g' -e 's/[0-9.]+ (B|[KMGT]iB)( of tensors)?$/../' -e 's/ +/ /g' | LC_ALL=C sort
}

same() { cmp -s <(steady "$1" <"$2") <(steady "$1" <"$3"); }

# The page with its blocks replaced, on standard output.
rewritten() {
  local line how command fence end now=$work/now shown=$work/shown
  while IFS= read -r line; do
    printf '%s\n' "$line"
    [[ $line =~ ^'<!-- output of'(, [a-z ]+)?': '(.*)' -->'$ ]] || continue
    how=${BASH_REMATCH[1]} command=${BASH_REMATCH[2]}
    IFS= read -r line
    fence=''
    if [[ $line == '```'* ]]; then fence=$line; fi
    # A fence ends its block; an empty line, or the end of the page, ends a table.
    {
      if [[ -z $fence ]]; then printf '%s\n' "$line"; fi
      end=''
      while IFS= read -r line; do
        if [[ $line == "${fence:+\`\`\`}" ]]; then end=$line$'\n'; break; fi
        printf '%s\n' "$line"
      done
    } >"$shown"
    if ! runs "$how" "$command"; then
      cp "$shown" "$now"
    elif ! printed "$command" >"$now" || [[ ! -s $now ]]; then
      fail "$1: no output of: $command"
      cp "$shown" "$now"
    elif same "$how" "$shown" "$now"; then
      cp "$shown" "$now"
    fi
    if [[ -n $fence ]]; then printf '%s\n' "$fence"; fi
    cat "$now"
    printf '%s' "$end"
  done <"$1"
}

for page in "${pages[@]}"; do
  rewritten "$page" >"$work/page"
  if cmp -s "$page" "$work/page"; then continue; fi
  if [[ -n $check ]]; then
    diff -u "$page" "$work/page" || fail "$page differs from what the programs print: run docs/regenerate.sh"
  else
    cp "$work/page" "$page"
    echo "wrote $page"
  fi
done

marked=' '
while IFS= read -r line; do
  [[ $line =~ ^'<!-- '([a-z0-9-]+\.(svg|png))': '([^ ]+)' of'(, [a-z ]+)?': '(.*)' -->'$ ]] || continue
  picture=docs/pictures/${BASH_REMATCH[1]} file=${BASH_REMATCH[3]} how=${BASH_REMATCH[4]} command=${BASH_REMATCH[5]}
  marked+="$picture "
  if ! runs "$how" "$command"; then continue; fi
  if ! printed "$command" >"$work/now" || [[ ! -e $file ]]; then fail "$picture: failed: $command"; continue; fi
  if [[ $picture == *.png ]] && cmp -s "$picture" "$file" || [[ $picture == *.svg ]] && same "$how" "$picture" "$file"; then continue; fi
  if [[ -z $check ]]; then
    cp "$file" "$picture"
    echo "wrote $picture"
  else
    fail "$picture differs from what is drawn now ($file): run docs/regenerate.sh"
    if [[ $picture == *.svg ]]; then diff <(steady "$how" <"$picture") <(steady "$how" <"$file") | head -20 || true; fi
  fi
done < <(cat "${pages[@]}")

# Every picture is shown or linked by a page, and says what draws it; every picture that a page names is there.
named=$(grep -ohE '\]\((docs/)?pictures/[^)]+\)' "${pages[@]}" | sed -E 's#^\]\((docs/)?#docs/#; s#\)$##' | sort -u)
for picture in docs/pictures/*; do
  grep -qxF "$picture" <<<"$named" || fail "$picture is on no page"
  [[ $marked == *" $picture "* ]] || fail "no page says what draws $picture"
done
for picture in $named; do
  [[ -e $picture ]] || fail "$picture is named by a page and does not exist"
done

[[ -z $failed ]]
