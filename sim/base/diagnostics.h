// Problems found in input: each is one line "file:line:column: field: problem", all reported
// together. Line and column are 1-based and left out where the format gives none (binary).

#ifndef MESHSTEP_SIM_BASE_DIAGNOSTICS_H_
#define MESHSTEP_SIM_BASE_DIAGNOSTICS_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/status.h"

namespace meshstep {

// Where a field of a message was written: "file:line:column", "file" or "" if not known.
using Locator = std::function<std::string(const std::string& field_path)>;

// The same of all fields of one message, by path: "file:line:column".
using FieldPlaces = std::map<std::string, std::string>;

class Diagnostics {
 public:
  Diagnostics() = default;
  explicit Diagnostics(Locator locator) : locator_(std::move(locator)) {}

  // field: path from the scenario, "plan.tensor". problem: one sentence that gives the value and
  // what was expected, as "is 7, but must divide the 64 query heads". Control characters of values
  // are escaped: a problem is one line.
  void Error(const std::string& field, const std::string& problem);
  // One problem per line of the message.
  void Error(const std::string& field, const Status& status);
  // Notes (paddings, roundings) do not fail; they go to standard error or the report.
  void Note(const std::string& note) { notes_.push_back(note); }

  // Fields below `field` come from another file: `places` says where each that it gives was written
  // (paths from `field` on), `own` which of them the message gives itself, at the locator's place.
  struct Source {
    std::string field;
    std::shared_ptr<const FieldPlaces> places;
    std::set<std::string> own;
  };
  // Where two know of a field, the first does.
  void AddSource(Source source) { sources_.push_back(std::move(source)); }
  const std::vector<Source>& sources() const { return sources_; }

  bool ok() const { return errors_.empty(); }
  const std::vector<std::string>& errors() const { return errors_; }
  const std::vector<std::string>& notes() const { return notes_; }
  // OK, or InvalidArgument with one line per problem.
  Status status() const;

 private:
  std::string PlaceOf(const std::string& field) const;
  const std::string* Find(const std::string& path) const;

  Locator locator_;
  std::vector<Source> sources_;
  std::vector<std::string> errors_, notes_;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_DIAGNOSTICS_H_
