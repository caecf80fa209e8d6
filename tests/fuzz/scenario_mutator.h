// Changes a scenario field by field, by what its messages say of themselves (protobuf reflection):
// values at the ends of ranges, names that exist, lists that grow and shrink. Most of what comes
// out is read without an error, so that what lies behind the loaders is reached.

#ifndef MESHSTEP_TESTS_FUZZ_SCENARIO_MUTATOR_H_
#define MESHSTEP_TESTS_FUZZ_SCENARIO_MUTATOR_H_

#include <random>

namespace google::protobuf {
class Message;
}

namespace meshstep::fuzz {

// One change somewhere in the message.
void Mutate(google::protobuf::Message* message, std::mt19937* random);

}  // namespace meshstep::fuzz

#endif  // MESHSTEP_TESTS_FUZZ_SCENARIO_MUTATOR_H_
