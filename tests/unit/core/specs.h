// File: specs.h
//
// Small valid RunSpecs for tests of the coordinator.

#ifndef TESTS_UNIT_CORE_SPECS_H_
#define TESTS_UNIT_CORE_SPECS_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "picket/v1/run.pb.h"
#include "picket/v1/suite.pb.h"

namespace picket {

inline v1::Test MakeTest(const std::string& id, const std::vector<std::string>& locations) {
  v1::Test test;
  test.set_suite("shop");
  test.set_id(id);
  test.set_name(id);
  for (const std::string& location : locations) test.add_locations(location);
  test.set_blocking(true);
  test.set_repeatable(true);
  test.mutable_timeout()->set_seconds(10);
  test.mutable_retry()->set_attempts(1);
  test.mutable_retry()->set_backoff(1);
  test.mutable_retry()->add_on(v1::Retry::FAILED);
  test.mutable_retry()->add_on(v1::Retry::INCONCLUSIVE);
  test.mutable_retry()->add_where(v1::Retry::SAME_AGENT);
  test.mutable_policy()->set_locations(v1::Policy::ALL);
  test.mutable_policy()->set_flaky(v1::Policy::FLAKY_PASS);
  test.mutable_policy()->set_inconclusive(v1::Policy::INCONCLUSIVE_INCONCLUSIVE);
  v1::Step* step = test.add_steps();
  v1::HttpCheck* http = step->mutable_http();
  http->set_method("GET");
  http->set_url("http://127.0.0.1:1/");
  http->set_follow_redirects(true);
  http->set_max_redirects(10);
  http->set_http_version(v1::HttpCheck::AUTO);
  http->set_ip_version(v1::HttpCheck::ANY);
  http->set_proxy("none");
  http->set_connection(v1::HttpCheck::FRESH);
  http->set_body_limit_bytes(1 << 20);
  http->mutable_tls()->set_verify(true);
  return test;
}

// `rows` rows of one column; 0 = none at all.
inline void AddRows(v1::Test& test, int rows) {
  v1::Table* table = test.mutable_for_each();
  table->add_columns("n");
  for (int i = 0; i < rows; ++i) table->add_rows()->add_cells(absl::StrCat(i));
}

inline v1::RunSpec MakeSpec(std::vector<v1::Test> tests) {
  v1::RunSpec spec;
  v1::Suite* suite = spec.add_suites();
  suite->set_name("shop");
  for (v1::Test& test : tests) *suite->add_tests() = std::move(test);
  spec.mutable_deadline()->set_seconds(600);
  spec.set_trigger(v1::Trigger::CLI);
  return spec;
}

}  // namespace picket

#endif  // TESTS_UNIT_CORE_SPECS_H_
