// keygen, attest and verify: a verdict that a deploy step can trust without asking anyone.

#include <sys/stat.h>

#include <algorithm>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "cli/attest.h"
#include "cli/commands.h"
#include "cli/connection_flags.h"
#include "cli/exit_code.h"
#include "cli/report_set.h"
#include "cli/stored_run.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "common/policy/limits.h"
#include "common/policy/sha256.h"
#include "common/report/escape.h"
#include "common/signing/dsse.h"
#include "common/signing/keys.h"
#include "common/signing/statement.h"

namespace picket {
namespace {

int Wrong(Environment& env, absl::string_view message) {
  PrintError(env, message);
  return kExitUsage;
}

bool Exists(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0;
}

// A file, or env:NAME for a variable that holds the PEM text itself, as CI secrets do.
absl::StatusOr<std::string> ReadPem(const Environment& env, const std::string& source) {
  absl::string_view name = source;
  if (!absl::ConsumePrefix(&name, "env:")) return ReadFile(source, kKeyFileBytes);
  const std::optional<std::string> value = env.variable(std::string(name));
  if (!value.has_value() || value->empty()) {
    return absl::NotFoundError(absl::StrCat("the variable ", name, " is not set"));
  }
  return *value;
}

template <typename Key>
absl::StatusOr<Key> ReadKey(const Environment& env, const std::string& source) {
  ABSL_ASSIGN_OR_RETURN(const std::string pem, ReadPem(env, source));
  auto key = Key::FromPem(pem);
  if (key.ok()) return key;
  return absl::InvalidArgumentError(absl::StrCat(source, ": ", key.status().message()));
}

absl::StatusOr<std::vector<Subject>> ReadSubjects(const std::vector<std::string>& texts) {
  std::vector<Subject> subjects;
  for (const std::string& text : texts) {
    ABSL_ASSIGN_OR_RETURN(Subject subject, ParseSubject(text));
    if (std::find(subjects.begin(), subjects.end(), subject) != subjects.end()) {
      return absl::InvalidArgumentError(absl::StrCat("--subject ", text, " is given twice"));
    }
    subjects.push_back(std::move(subject));
  }
  return subjects;
}

absl::StatusOr<std::vector<Configuration>> ReadConfiguration(
    const std::vector<std::string>& paths) {
  std::vector<Configuration> configuration;
  for (const std::string& path : paths) {
    ABSL_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, DefaultLimits().suite_file_bytes));
    // Without its folder: where a file lay is nobody's business who reads the verdict.
    const size_t slash = path.rfind('/');
    configuration.push_back({.name = path.substr(slash == std::string::npos ? 0 : slash + 1),
                             .sha256 = absl::BytesToHexString(Sha256Digest(text))});
  }
  return configuration;
}

bool SameArtefact(const Subject& a, const Subject& b) {
  return a.algorithm == b.algorithm && a.digest == b.digest;
}

struct VerifyFlags {
  std::vector<std::string> arguments, keys, subjects;
  std::string require = "PASSED";
  bool quiet = false;

  void AddTo(FlagSet& flags) {
    const FlagOptions here{.check = NotEmpty(), .environment = false};
    flags.Positional("FILE", &arguments, "The signed verdict.", 1, 1);
    flags.Add("key", &keys, "FILE|env:VAR",
              "The public key to trust; repeated, the signature of one of them will do.", here);
    flags.Add("subject", &subjects, "[NAME@]ALGORITHM:HEX",
              "What is to be deployed; repeated, all must be among the verdict's subjects.", here);
    flags.Add("require", &require, "VERDICT", "The verdict asked for; any = whichever.",
              {.check = OneOf({"PASSED", "FAILED", "INCONCLUSIVE", "any"}), .environment = false});
    flags.Add("quiet", &quiet, "", "Print errors only.", {.short_name = 'q'});
  }
};

// Not trusted: a verdict was not learnt.
int Distrust(Environment& env, const std::string& path, absl::string_view why) {
  PrintError(env, absl::StrCat(path, ": ", why));
  return kExitNoVerdict;
}

int Verify(Environment& env, const VerifyFlags& flags, const std::string& text,
           const std::vector<PublicKey>& keys, const std::vector<Subject>& subjects) {
  const std::string& path = flags.arguments[0];
  const auto envelope = ParseEnvelope(text);
  if (!envelope.ok()) return Distrust(env, path, envelope.status().message());
  // Nothing of the payload is looked at before its signature has been found good.
  if (std::none_of(keys.begin(), keys.end(),
                   [&](const PublicKey& key) { return VerifyEnvelope(*envelope, key); })) {
    return Distrust(env, path,
                    "no signature in it is of the key; it was signed by another key, or changed "
                    "afterwards");
  }
  if (envelope->payload_type != kStatementPayloadType) {
    return Distrust(env, path, "what is signed is no in-toto statement");
  }
  const auto statement = ParseStatement(envelope->payload);
  if (!statement.ok()) return Distrust(env, path, statement.status().message());
  for (const Subject& wanted : subjects) {
    if (std::none_of(statement->subjects.begin(), statement->subjects.end(),
                     [&](const Subject& s) { return SameArtefact(s, wanted); })) {
      return Distrust(env, path,
                      absl::StrCat("its verdict is on ",
                                   absl::StrJoin(statement->subjects, ", ",
                                                 [](std::string* out, const Subject& s) {
                                                   absl::StrAppend(out, SubjectText(s));
                                                 }),
                                   ", not on ", SubjectText(wanted)));
    }
  }
  const std::string verdict = v1::Verdict::Value_Name(statement->verdict);
  Printer printer(env.out, PrintFlags{}.Style(env));
  if (!flags.quiet) {
    for (const Subject& subject : statement->subjects) {
      printer.Line(absl::StrCat("subject  ", printer.OutsideCut(SubjectText(subject), 1000)));
    }
    if (!statement->run_id.empty()) {
      printer.Line(absl::StrCat("run      ", printer.OutsideCut(statement->run_id, 100), "  ",
                                printer.OutsideCut(statement->suite, 200), "  sealed ",
                                printer.OutsideCut(statement->seal_time, 100)));
    }
    if (!statement->explanation.empty()) {
      printer.Line(absl::StrCat("because  ", printer.OutsideCut(statement->explanation, 500)));
    }
    if (subjects.empty()) {
      printer.Line(
          "note     no --subject was given: the verdict may be on something else than "
          "what you deploy");
    }
  }
  printer.Flush();
  if (flags.require != "any" && verdict != flags.require) {
    PrintError(env, absl::StrCat(path, ": the signature is good, but the verdict is ", verdict,
                                 ", not ", flags.require));
    return kExitFailed;
  }
  if (!flags.quiet) printer.Line(absl::StrCat("verified ", verdict));
  return kExitPassed;
}

}  // namespace

int KeygenCommand(Environment& env, const Arguments& args) {
  FlagSet flags("picket keygen",
                "Makes an Ed25519 key pair: FILE (private, mode 0600) and FILE.pub (public), as "
                "PEM that openssl reads. Existing files are never replaced.");
  std::string out;
  flags.Add("out", &out, "FILE", "Where the private key goes.",
            {.check = NotEmpty(), .environment = false});
  if (std::optional<int> code = ParseArguments(env, flags, args)) return *code;
  if (out.empty()) return Wrong(env, "name the file of the private key: --out FILE");
  const std::string pub = absl::StrCat(out, ".pub");
  for (const std::string& path : {out, pub}) {
    if (Exists(path)) {
      return Wrong(env, absl::StrCat(path, " exists; a key is never replaced, name another file"));
    }
  }
  const PrivateKey key = PrivateKey::Generate();
  absl::Status status = WriteFileAtomically(out, key.ToPem(), 0600);
  if (status.ok()) status = WriteFileAtomically(pub, key.public_key().ToPem());
  if (!status.ok()) return Wrong(env, status.message());
  Printer printer(env.out, PrintFlags{}.Style(env));
  printer.Line(absl::StrCat("private key  ", printer.Outside(out)));
  printer.Line(absl::StrCat("public key   ", printer.Outside(pub)));
  printer.Line(absl::StrCat("key id       ", key.public_key().id()));
  return kExitPassed;
}

int AttestCommand(Environment& env, const Arguments& args) {
  FlagSet flags("picket attest",
                "Signs what a sealed run found out about an artefact: an in-toto statement "
                "(test-result v0.1) in a DSSE envelope. Exits 0 once it is written, whatever the "
                "verdict: `picket verify` judges it.");
  std::vector<std::string> arguments, subject_texts, suites;
  std::string key_source, out, url;
  ConnectionFlags connection;
  const FlagOptions here{.check = NotEmpty(), .environment = false};
  flags.Positional("RUN", &arguments, "The run's id.", 1, 1);
  connection.AddTo(flags);
  flags.Add("subject", &subject_texts, "[NAME@]ALGORITHM:HEX",
            "What was tested: sha256, sha512 or gitCommit; repeated for several.", here);
  flags.Add("key", &key_source, "FILE|env:VAR",
            "The private key, or a variable that holds it (as PEM).", here);
  flags.Add("out", &out, "FILE", "Where the envelope goes; without it, standard output.", here);
  flags.Add("suite", &suites, "FILE",
            "A suite file, whose SHA-256 goes into the statement; repeated for several.", here);
  flags.Add("url", &url, "URL", "Where the run can be seen; by default the CI job.", here);
  if (std::optional<int> code = ParseArguments(env, flags, args)) return *code;
  const auto run_id = RunIdArgument(arguments);
  if (!run_id.ok()) return Wrong(env, run_id.status().message());
  if (subject_texts.empty()) {
    return Wrong(env, "name what was tested: --subject sha256:HEX (such as an image's digest)");
  }
  const auto subjects = ReadSubjects(subject_texts);
  if (!subjects.ok()) return Wrong(env, subjects.status().message());
  if (key_source.empty()) return Wrong(env, "name the private key: --key FILE (`picket keygen`)");
  std::vector<std::string> inputs = suites;
  inputs.push_back(key_source);
  for (const std::string& input : inputs) {
    if (out.empty() || !IsSameFile(out, input)) continue;
    return Wrong(env, absl::StrCat("--out ", out, " is read, too; give the verdict a file of its own"));
  }
  const auto key = ReadKey<PrivateKey>(env, key_source);
  if (!key.ok()) return Wrong(env, key.status().message());
  auto configuration = ReadConfiguration(suites);
  if (!configuration.ok()) return Wrong(env, configuration.status().message());

  auto client = connection.Connect(env);
  if (!client.ok()) return FailedCall(env, client.status());
  ScopedInterrupt interrupt(env, **client);
  const auto run = (*client)->GetRun(*run_id);
  if (!run.ok()) return FailedCall(env, run.status());
  if (run->state() != v1::Run::SEALED) {
    return FailedCall(env, absl::FailedPreconditionError(absl::StrCat(
                               "run ", *run_id, " is not sealed and has no verdict to sign; ",
                               "`picket wait ", *run_id, "` first")));
  }
  const auto stored = ReadStoredRun(env, **client, *run_id);
  if (!stored.ok()) return FailedCall(env, stored.status());
  TestResultStatement statement = StatementOf(*stored);
  statement.subjects = *subjects;
  for (Configuration& c : *configuration) statement.configuration.push_back(std::move(c));
  const auto& labels = stored->run.labels();
  const auto job = labels.find("ci.job_url");
  statement.url = !url.empty() ? url : job != labels.end() ? job->second : "";
  const std::string envelope =
      EnvelopeToJson(SignEnvelope(kStatementPayloadType, StatementToJson(statement), *key));
  if (out.empty()) {
    env.out->Write(envelope);
    // Half a verdict is none.
    const absl::Status told = env.out->Flush();
    if (told.ok()) return kExitPassed;
    return Wrong(env, absl::StrCat("standard output: ", told.message()));
  }
  const absl::Status written = WriteFileAtomically(out, envelope);
  if (!written.ok()) return Wrong(env, written.message());
  Printer printer(env.out, PrintFlags{}.Style(env));
  printer.Line(absl::StrCat("signed ", v1::Verdict::Value_Name(statement.verdict), " of run ",
                            *run_id, " into ", printer.Outside(out)));
  return kExitPassed;
}

int VerifyCommand(Environment& env, const Arguments& args) {
  FlagSet flags("picket verify",
                "Checks a signed verdict, without a coordinator. Exits 0 if the signature is good "
                "and the verdict is the one required; 1 if the signature is good and the verdict "
                "is another; 4 if it cannot be trusted: signed by another key, changed, or on "
                "another subject; 2 for wrong usage.");
  VerifyFlags verify;
  verify.AddTo(flags);
  if (std::optional<int> code = ParseArguments(env, flags, args)) return *code;
  if (verify.keys.empty()) return Wrong(env, "name the public key to trust: --key FILE");
  std::vector<PublicKey> keys;
  for (const std::string& source : verify.keys) {
    const auto key = ReadKey<PublicKey>(env, source);
    if (!key.ok()) return Wrong(env, key.status().message());
    keys.push_back(*key);
  }
  const auto subjects = ReadSubjects(verify.subjects);
  if (!subjects.ok()) return Wrong(env, subjects.status().message());
  const auto text = ReadFile(verify.arguments[0], kEnvelopeBytes);
  if (!text.ok()) return Wrong(env, text.status().message());
  return Verify(env, verify, *text, keys, *subjects);
}

}  // namespace picket
