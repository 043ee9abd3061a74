#include "common/base/backoff.h"

#include <algorithm>

namespace picket {

absl::Duration Backoff::Next(Random& random) {
  const absl::Duration delay = ceiling_ * (0.5 + 0.5 * random.Uniform());
  ceiling_ = std::min(ceiling_ * options_.factor, options_.longest);
  return delay;
}

}  // namespace picket
