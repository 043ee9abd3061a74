#!/usr/bin/env bash
# A delivery pipeline in plain shell: four stages, three reactions.
#
#   pipeline.sh RELEASE_DIR VERSION
#
#   stage          what is tested                       unless PASSED
#   1 build        the release by itself, this machine  the build is halted
#   2 staging      the idle slot, from every location   (stage 3 decides)
#   3 promotion    the signed verdict on this release   the deployment is prohibited
#   4 production   what the world sees                  the release is rolled back
#
# The last line says how it ended: DEPLOYED (exit 0); HALTED, PROHIBITED or ROLLED BACK
# (exit 1). Only PASSED goes on: FAILED, INCONCLUSIVE and a coordinator that cannot be
# reached all stop it.
#
#   PICKET_COORDINATOR   HOST:PORT of the coordinator
#   SIGNING_KEY          private key of `picket keygen`; its public half is SIGNING_KEY.pub
#   STATE                the folder of bluegreen.sh; reports and verdicts go to STATE/out
#   DEADLINE             of each run; default 5m
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
release_dir=${1:?RELEASE_DIR} version=${2:?VERSION}
: "${STATE:?}" "${SIGNING_KEY:?}" "${PICKET_COORDINATOR:?}"
export STATE
deadline=${DEADLINE:-5m}
out=$STATE/out/$version
mkdir -p "$out"
bluegreen() { "$here/bluegreen.sh" "$@"; }
stage() { printf '\n== %s\n' "$*"; }

# Tests URL VERSION; reports go to $out/NAME.*.
tests() {
  local name=$1 url=$2 expected=$3
  shift 3
  picket run "$here/shop.yaml" -e "base=$url" -e "release=$expected" --deadline "$deadline" \
    --label "stage=$name" --label "release=$expected" \
    --report-json "$out/$name.json" --report-junit "$out/$name.xml" "$@"
}

# 1. Build. Nothing has been deployed yet: a verdict other than PASSED halts the build.
stage "1 build: $version"
release=$out/release.tar
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$release" -C "$release_dir" html release.conf
subject=sha256:$(sha256sum <"$release" | cut -d' ' -f1)
echo "release $version is $subject"
picket validate "$here/shop.yaml" -e base=http://127.0.0.1:1 -e "release=$version"
bluegreen deploy build "$release"
if ! tests build "$(bluegreen url build)" "$version" --local -t smoke; then
  echo "HALTED: $version does not pass by itself; nothing was deployed"
  exit 1
fi

# 2. Staging: the idle slot, from every location. The verdict is signed, whatever it is.
before=$(bluegreen live)
idle=$(bluegreen idle)
stage "2 staging: $version on $idle"
bluegreen deploy "$idle" "$release"
rm -f "$out/verdict.json"
tests staging "$(bluegreen url "$idle")" "$version" || true
if [ -f "$out/staging.json" ]; then
  run=$(picket query '$.run_id' "$out/staging.json" | tr -d '[]"')
  picket attest "$run" --subject "$subject" --key "$SIGNING_KEY" --suite "$here/shop.yaml" \
    --out "$out/verdict.json" || true
fi

# 3. Promotion trusts nothing but the signature: no verdict on this very release, no deployment.
stage "3 promotion: is $version allowed into production?"
if ! picket verify "$out/verdict.json" --key "$SIGNING_KEY.pub" --subject "$subject" --require PASSED; then
  echo "PROHIBITED: $version stays out of production, which is still ${before:-empty}"
  exit 1
fi
bluegreen switch "$idle"
echo "production is now $idle ($version)"

# 4. Production: what only shows there is rolled back by the verdict.
stage "4 production: $version"
if tests production "$(bluegreen url production)" "$version"; then
  echo "$version" >"$STATE/out/live-version"
  echo "DEPLOYED: $version"
  exit 0
fi
if [ -z "$before" ]; then
  echo "NOT ROLLED BACK: nothing was live before $version; it still is"
  exit 1
fi
bluegreen switch "$before"
previous=$(cat "$STATE/out/live-version")
if tests rollback "$(bluegreen url production)" "$previous" --quiet; then
  echo "ROLLED BACK: production is $before ($previous) again, and passes"
else
  echo "ROLLED BACK: production is $before ($previous) again, but does not pass either"
fi
exit 1
