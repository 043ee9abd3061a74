#include "coordinator/core/records.h"

namespace picket {

bool Mark::IsDefault() const {
  return losses == 0 && attempts == 0 && !failed_before && !started &&
         avoid_instance.empty() && not_before == absl::InfinitePast() &&
         give_up == absl::InfiniteFuture() && probed.empty();
}

}  // namespace picket
