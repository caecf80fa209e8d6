// Scenarios of tests, from text.

#ifndef MESHSTEP_TESTS_STRATEGIES_SCENARIO_FIXTURES_H_
#define MESHSTEP_TESTS_STRATEGIES_SCENARIO_FIXTURES_H_

#include <string>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/diagnostics.h"
#include "strategies/load_scenario.h"

namespace meshstep {

inline v1::Scenario ParseScenario(const std::string& text) {
  v1::Scenario proto;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &proto)) << text;
  return proto;
}

inline Scenario Load(const v1::Scenario& proto) {
  Diagnostics diagnostics;
  Scenario scenario = LoadScenario(proto, &diagnostics);
  EXPECT_TRUE(diagnostics.ok()) << diagnostics.status() << "\n" << proto.ShortDebugString();
  return scenario;
}

}  // namespace meshstep

#endif  // MESHSTEP_TESTS_STRATEGIES_SCENARIO_FIXTURES_H_
