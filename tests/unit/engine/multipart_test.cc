#include "agent/engine/multipart.h"

#include <gtest/gtest.h>

namespace picket {
namespace {

TEST(MultipartTest, WritesPartsAsRfc7578Says) {
  const std::vector<MultipartPart> parts = {{"note", "hello", std::nullopt, ""},
                                            {"file", "\x01\x02", "a.bin", "application/x"}};
  EXPECT_EQ(WriteMultipart(parts, "B"),
            "--B\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n"
            "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n"
            "Content-Type: application/x\r\n\r\n\x01\x02\r\n--B--\r\n");
}

TEST(MultipartTest, ANameCannotEndItsLine) {
  EXPECT_EQ(WriteMultipart({{"a\"\r\nX: y", "", std::nullopt, ""}}, "B"),
            "--B\r\nContent-Disposition: form-data; name=\"a%22%0D%0AX: y\"\r\n\r\n\r\n--B--\r\n");
}

TEST(MultipartTest, TheBoundaryStandsInNoPart) {
  const std::string first = ChooseBoundary({}, 7);
  EXPECT_EQ(ChooseBoundary({}, 7), first);
  EXPECT_NE(ChooseBoundary({{"a", first, std::nullopt, ""}}, 7), first);
}

}  // namespace
}  // namespace picket
