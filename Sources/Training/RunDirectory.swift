import Checkpoints
import Foundation
import Platform

/// A run's folder: what it was asked, where it ran, how it went, and its checkpoints.
///
///     settings.json       what decides the result
///     environment.json    where it ran: version, processors, libraries
///     lists/              copies of the training and validation list
///     metrics.csv         a row an epoch; nothing measured by a clock
///     events.jsonl        an object an event, with times
///     checkpoints/        best.safetensors, last.safetensors, last.state.safetensors
///
/// Invariant: `last.state.safetensors` is written last of all that an epoch writes. Whatever stands in the other files behind it
/// is done again, to the same bytes.
struct RunDirectory {
  let path: String

  var bestCheckpoint: String { path + "/checkpoints/best.safetensors" }
  var lastCheckpoint: String { path + "/checkpoints/last.safetensors" }
  var state: String { path + "/checkpoints/last.state.safetensors" }
  private var settingsPath: String { path + "/settings.json" }
  private var metricsPath: String { path + "/metrics.csv" }
  private var eventsPath: String { path + "/events.jsonl" }

  init(path: String) { self.path = path }

  /// Whether something stands at the path.
  var exists: Bool { FileManager.default.fileExists(atPath: path) }

  /// Whether a training state stands in it.
  var hasState: Bool { FileManager.default.fileExists(atPath: state) }

  /// Makes the folder with the settings, the environment and copies of the lists.
  func create(settings: JSONObject, lists: [String]) throws(TrainingError) {
    do {
      try createFolder(path + "/checkpoints")
      try createFolder(path + "/lists")
      for list in lists {
        let name = (list as NSString).lastPathComponent
        try AtomicFile.write(try FileReader.contents(of: list), to: path + "/lists/" + name, overwriting: true)
      }
      try AtomicFile.write(environment.text(pretty: true) + "\n", to: path + "/environment.json", overwriting: true)
      // Last: a folder with settings is a whole one.
      try AtomicFile.write(JSONValue.object(settings).text(pretty: true) + "\n", to: settingsPath, overwriting: true)
    } catch {
      throw .cause(error)
    }
  }

  /// Compares `settings` with those that the run was started with. `epochs` may differ, so that a run can be made longer.
  func check(settings: JSONObject) throws(TrainingError) {
    let there: JSONValue
    do {
      there = try JSONValue.parse(try FileReader.contents(of: settingsPath))
    } catch .missing {
      throw .notARun(path: path)
    } catch {
      throw .cause(error)
    }
    let differences = settings.members.filter { $0.key != "epochs" && there[$0.key] != $0.value }.map {
      (name: $0.key, there: there[$0.key]?.text() ?? "nothing", now: $0.value.text())
    }
    guard differences.isEmpty else { throw .otherSettings(run: path, differences: differences) }
  }

  private var environment: JSONValue {
    [
      "chexnet": .string(toolVersion), "processors": JSONValue(ThreadPool.availableProcessors),
      "system": .string(ProcessInfo.processInfo.operatingSystemVersionString),
      "command": JSONValue(CommandLine.arguments),
    ]
  }

  // MARK: Metrics and events

  /// The rows of `metrics.csv` of the first `epochs` epochs.
  func metrics(epochs: Int) throws(TrainingError) -> [String] {
    guard FileManager.default.fileExists(atPath: metricsPath) else { return [] }
    do {
      let text = String(decoding: try FileReader.contents(of: metricsPath), as: UTF8.self)
      return Array(text.split(separator: "\n").dropFirst().prefix(epochs).map(String.init))
    } catch {
      throw .cause(error)
    }
  }

  /// Replaces `metrics.csv`.
  func write(metrics rows: [String], header: String) throws(TrainingError) {
    do {
      try AtomicFile.write(([header] + rows).joined(separator: "\n") + "\n", to: metricsPath, overwriting: true)
    } catch {
      throw .cause(error)
    }
  }

  /// Adds a line to `events.jsonl`, with the time.
  func note(_ event: String, _ members: JSONObject = JSONObject()) throws(TrainingError) {
    var object = JSONObject([
      ("schema", .string("chexnet.event")), ("v", 1), ("event", .string(event)),
      ("time", JSONValue(Date().timeIntervalSince1970)),
    ])
    for (key, value) in members.members { object[key] = value }
    do {
      try appendLine(JSONValue.object(object).text(), to: eventsPath)
    } catch {
      throw .cause(error)
    }
  }
}
