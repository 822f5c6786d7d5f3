import Foundation
import Platform
import TestSupport
import Testing

/// Expects the run directory `run` to have the files of `whole`, a run that nobody stopped, and their bytes, but for
/// what a clock decides.
func compareRuns(_ run: String, with whole: String, _ what: String) throws {
  func isClocked(_ name: String) -> Bool {
    name == "events.jsonl" || name.hasPrefix("events.out.tfevents.") || name == "environment.json"
      || name == "settings.json"
  }
  func generic(_ names: [String]) -> [String] {
    names.map { $0.hasPrefix("events.out.tfevents.") ? "events.out.tfevents." : $0 }
  }
  let (names, found) = (try files(whole), try files(run))
  #expect(generic(found) == generic(names), "\(what): other files, \(found)")
  for name in names where !isClocked(name) && name.contains(".") && found.contains(name) {
    let (found, expected) = (
      try FileReader.contents(of: run + "/" + name), try FileReader.contents(of: whole + "/" + name)
    )
    #expect(found == expected, "\(what): \(name) differs")
  }
  #expect(try epochs(run) == epochs(whole), "\(what): other epochs in events.jsonl")
  // TensorBoard's file has times, of eight bytes each.
  func scalars(_ folder: String) throws -> [Int] {
    try files(folder).filter { $0.hasPrefix("events.out.tfevents.") }.map {
      try FileReader.contents(of: folder + "/" + $0).count
    }
  }
  #expect(try scalars(run) == scalars(whole), "\(what): other points for TensorBoard")
}

private func files(_ folder: String) throws -> [String] {
  try FileManager.default.subpathsOfDirectory(atPath: folder).sorted()
}

/// The epochs and saved steps that `events.jsonl` tells, in its order, with what they came to.
private func epochs(_ run: String) throws -> [JSONValue] {
  try String(contentsOfFile: run + "/events.jsonl", encoding: .utf8).split(separator: "\n").compactMap { line in
    var event = try JSONValue.parse(String(line)).object ?? JSONObject()
    event["time"] = nil
    // What was the last one may have been made longer.
    event["last"] = nil
    return ["epoch", "checkpoint"].contains(event["event"]?.string) ? .object(event) : nil
  }
}
