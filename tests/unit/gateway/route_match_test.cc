#include "coordinator/gateway/route_match.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace picket {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

RouteParams Match(const char* pattern, const char* path) {
  RouteParams params;
  if (!MatchRoute(pattern, path, params)) return {"no match"};
  return params;
}

TEST(RouteMatchTest, TextMatchesItself) {
  EXPECT_THAT(Match("/v1/runs", "/v1/runs"), IsEmpty());
  for (const char* other : {"/v1/run", "/v1/runs/", "/v1/runs2", "", "/"}) {
    EXPECT_THAT(Match("/v1/runs", other), ElementsAre("no match")) << other;
  }
}

TEST(RouteMatchTest, AParameterIsOneSegmentAndNeverEmpty) {
  EXPECT_THAT(Match("/r/{id}", "/r/a"), ElementsAre("a"));
  EXPECT_THAT(Match("/r/{id}", "/r/"), ElementsAre("no match"));
  EXPECT_THAT(Match("/r/{id}", "/r/a/b"), ElementsAre("no match"));
  EXPECT_THAT(Match("/r/{id}/x/{n}/y", "/r/a/x/b/y"), ElementsAre("a", "b"));
  EXPECT_THAT(Match("/r/{id}/x/{n}/y", "/r/a/x//y"), ElementsAre("no match"));
  EXPECT_THAT(Match("/r/{id}/x", "/r/a/b/x"), ElementsAre("no match"));
  EXPECT_THAT(Match("/r/{id}/x", "/r//x"), ElementsAre("no match"));
  EXPECT_THAT(Match("/r/{id}:cancel", "/r/a:cancel"), ElementsAre("a"));
  EXPECT_THAT(Match("/r/{id}:cancel", "/r/a:cancel2"), ElementsAre("no match"));
  EXPECT_THAT(Match("/r/{id}:cancel", "/r/a"), ElementsAre("no match"));
}

TEST(RouteMatchTest, SomeParametersHoldSlashes) {
  EXPECT_THAT(Match("/a/{name...}:drain", "/a/eu/web:1:drain"), ElementsAre("eu/web:1"));
  EXPECT_THAT(Match("/a/{name...}:drain", "/a/x:drain:drain"), ElementsAre("x:drain"));
  EXPECT_THAT(Match("/a/{name...}:drain", "/a/:drain"), ElementsAre("no match"));
  EXPECT_THAT(Match("/a/{name...}:drain", "/a/x:drain/y"), ElementsAre("no match"));
}

}  // namespace
}  // namespace picket
