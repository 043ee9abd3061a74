#include "common/signing/base64.h"

#include <sodium.h>

namespace picket {

std::string EncodeBase64(absl::string_view bytes) {
  std::string text(sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                    bytes.size(), sodium_base64_VARIANT_ORIGINAL);
  text.pop_back();  // the terminating zero
  return text;
}

std::optional<std::string> DecodeBase64(absl::string_view text, const char* skip) {
  std::string bytes(text.size() / 4 * 3 + 3, '\0');
  for (const int variant :
       {sodium_base64_VARIANT_ORIGINAL, sodium_base64_VARIANT_URLSAFE,
        sodium_base64_VARIANT_ORIGINAL_NO_PADDING, sodium_base64_VARIANT_URLSAFE_NO_PADDING}) {
    size_t length = 0;
    const char* end = nullptr;
    if (sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), text.data(),
                          text.size(), skip, &length, &end, variant) == 0 &&
        end == text.data() + text.size()) {
      bytes.resize(length);
      return bytes;
    }
  }
  return std::nullopt;
}

}  // namespace picket
