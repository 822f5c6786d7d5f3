import ChestXray
import Foundation
import Platform

/// A run's folder: what it was asked, where it ran, how it went, and its checkpoints.
///
///     settings.json       what decides the result
///     environment.json    where it ran: version, processors, libraries
///     lists/              copies of the training and validation list
///     metrics.csv         a row an epoch; nothing measured by a clock
///     events.jsonl        an object an event, with times
///     events.out.tfevents.…  the same numbers for TensorBoard, with times
///     checkpoints/        best.safetensors (lowest validation loss), best-auroc.safetensors (highest mean AUROC),
///                         last.safetensors, step-N.safetensors, last.state.safetensors, previous.state.safetensors
///
/// Invariant: `last.state.safetensors` is written last of all that an epoch, or a stop, writes. Whatever stands in the other files
/// behind it is cut off when the run goes on, and done again, to the same bytes. At every moment a whole state stands under its name or
/// that of the one before it (`RunDirectory+State`).
struct RunDirectory {
  let path: String
  /// Whether this process, of several, is the one that writes.
  var isWriter = true
  /// Bytes that may still be written at a path.
  var spaceLeft: @Sendable (String) throws(PlatformError) -> Int = { path throws(PlatformError) in
    try Platform.freeSpace(at: path)
  }

  var bestCheckpoint: String { path + "/checkpoints/best.safetensors" }
  var bestAUROCCheckpoint: String { path + "/checkpoints/best-auroc.safetensors" }
  var lastCheckpoint: String { path + "/checkpoints/last.safetensors" }
  var state: String { path + "/checkpoints/last.state.safetensors" }
  var previousState: String { path + "/checkpoints/previous.state.safetensors" }
  /// The weights behind `steps` steps of the run.
  func stepCheckpoint(_ steps: Int) -> String { path + "/checkpoints/step-\(steps).safetensors" }
  private var settingsPath: String { path + "/settings.json" }
  private var metricsPath: String { path + "/metrics.csv" }
  var eventsPath: String { path + "/events.jsonl" }

  init(path: String) { self.path = path }

  /// Whether something stands at the path.
  var exists: Bool { FileManager.default.fileExists(atPath: path) }

  /// Whether a training state stands in it, whole or not.
  var hasState: Bool { [state, previousState].contains(where: somethingStands) }

  /// Whether a run was begun in it, of which nothing may be saved yet.
  var isBegun: Bool { FileManager.default.fileExists(atPath: settingsPath) }

  /// Whether it is an empty folder, or holds no more than what `create` makes before the settings: it was killed there.
  var canBegin: Bool {
    guard isFolder(path), let names = try? FileManager.default.contentsOfDirectory(atPath: path) else { return false }
    return names.allSatisfy { ["checkpoints", "lists", "environment.json"].contains($0) || Self.isLitter($0) }
  }

  /// Makes the folder with the settings, the environment, `equipment` of it the backend's, and copies of the lists, which get numbers where their names are
  /// the same.
  func create(settings: JSONObject, equipment: [String: String], lists: [String]) throws(TrainingError) {
    let names = lists.map(fileName)
    let areOwn = Set(names).count == names.count
    do {
      try createFolder(path + "/checkpoints")
      try createFolder(path + "/lists")
      for (index, (list, name)) in zip(lists, names).enumerated() {
        let copy = path + "/lists/" + (areOwn ? "" : "\(index + 1)-") + name
        try AtomicFile.write(try FileReader.contents(of: list), to: copy, overwriting: true)
      }
      try AtomicFile.write(
        environment(equipment).text(pretty: true) + "\n", to: environmentPath, overwriting: true)
      try removeLitter()
      // Last: a folder with settings is a whole one.
      try AtomicFile.write(JSONValue.object(settings).text(pretty: true) + "\n", to: settingsPath, overwriting: true)
    } catch {
      throw .cause(error)
    }
  }

  /// Compares `settings` with those that the run was started with. The free ones may differ, so that a run can be made longer.
  func check(settings: JSONObject) throws(TrainingError) {
    let there: JSONValue
    do {
      there = try JSONValue.parse(try FileReader.contents(of: settingsPath))
    } catch .missing {
      throw .notARun(path: path)
    } catch {
      throw .cause(error)
    }
    let differences = settings.members.filter {
      !TrainingOptions.freeSettings.contains($0.key) && there[$0.key] != $0.value
    }.map {
      (name: $0.key, there: there[$0.key]?.text() ?? "nothing", now: $0.value.text())
    }
    guard differences.isEmpty else { throw .otherSettings(run: path, differences: differences) }
  }

  // MARK: Space

  func freeSpace() throws(TrainingError) -> Int {
    do {
      return try spaceLeft(path)
    } catch {
      throw .cause(error)
    }
  }

  /// Throws `diskFull` where less than `needed` bytes are left.
  func checkSpace(_ needed: Int) throws(TrainingError) {
    let free = try freeSpace()
    guard free >= needed else { throw .cause(PlatformError.diskFull(path: path, needed: needed, free: free)) }
  }

  private var environmentPath: String { path + "/environment.json" }

  private func environment(_ equipment: [String: String]) -> JSONValue {
    [
      "chexnet": .string(toolVersion), "processors": JSONValue(ThreadPool.availableProcessors),
      "system": .string(ProcessInfo.processInfo.operatingSystemVersionString),
      "command": JSONValue(CommandLine.arguments),
      "equipment": .object(JSONObject(equipment.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
    ]
  }

  /// What the run was begun with and `equipment` is not; nil where they are the same, or where the record says nothing of it.
  func change(to equipment: [String: String]) -> String? {
    guard let bytes = try? FileReader.contents(of: environmentPath),
      let record = try? JSONValue.parse(bytes)["equipment"]
    else { return nil }
    let changed = equipment.keys.sorted().compactMap { name -> String? in
      guard let before = record[name]?.string, let now = equipment[name], before != now else { return nil }
      return "\(name) \(before.printable), now \(now)"
    }
    return changed.isEmpty ? nil : changed.joined(separator: "; ")
  }

  // MARK: Metrics and events

  /// The rows of `metrics.csv` of the first `epochs` epochs; `damagedState` where it has fewer.
  func metrics(epochs: Int) throws(TrainingError) -> [String] {
    if epochs == 0 { return [] }
    let text: String
    do {
      text = String(decoding: try FileReader.contents(of: metricsPath), as: UTF8.self)
    } catch {
      throw .cause(error)
    }
    let rows = text.split(separator: "\n").dropFirst().prefix(epochs).map(String.init)
    guard rows.count == epochs else {
      throw .damagedState(path: metricsPath, reason: "it has \(rows.count) rows for \(epochs) epochs")
    }
    return rows
  }

  /// Replaces `metrics.csv`.
  func write(metrics rows: [String], header: String) throws(TrainingError) {
    guard isWriter else { return }
    do {
      try AtomicFile.write(([header] + rows).joined(separator: "\n") + "\n", to: metricsPath, overwriting: true)
    } catch {
      throw .cause(error)
    }
  }

  /// TensorBoard's file of the run; nil where another process writes it.
  func scalars() throws(TrainingError) -> ScalarLog? {
    guard isWriter else { return nil }
    do {
      return try ScalarLog(folder: path)
    } catch {
      throw .cause(error)
    }
  }

  /// Adds a line to `events.jsonl`, with the time, the epochs that are finished, and the steps behind them.
  func note(_ event: String, _ state: TrainingState, _ members: JSONObject = JSONObject()) throws(TrainingError) {
    guard isWriter else { return }
    var object = JSONObject([
      ("schema", .string("chexnet.event")), ("v", 1), ("event", .string(event)),
      ("time", JSONValue(Date().timeIntervalSince1970)), ("epoch", JSONValue(state.epoch)),
      ("step", JSONValue(state.step)),
    ])
    for (key, value) in members.members { object[key] = value }
    do {
      try appendLine(JSONValue.object(object).text(), to: eventsPath)
    } catch {
      throw .cause(error)
    }
  }

  // MARK: Going on

  /// Removes what a run that was killed wrote behind `state`, from which it goes on: events, TensorBoard's numbers, and files that never got their names. Later epochs'
  /// rows of `metrics.csv` are replaced when the next one is written.
  func cut(behind state: TrainingState) throws(TrainingError) {
    do {
      try removeLitter()
      try ScalarLog(folder: path).cut(to: state.scalarBytes)
      guard FileManager.default.fileExists(atPath: eventsPath) else { return }
      let text = String(decoding: try FileReader.contents(of: eventsPath), as: UTF8.self)
      let kept = text.split(separator: "\n").filter { line in
        guard let event = try? JSONValue.parse(String(line)), let epoch = event["epoch"]?.integer,
          let step = event["step"]?.integer
        else { return false }
        return (epoch, step) <= (state.epoch, state.step)
      }
      try AtomicFile.write(kept.map { $0 + "\n" }.joined(), to: eventsPath, overwriting: true)
    } catch {
      throw .cause(error)
    }
  }

  private func removeLitter() throws(PlatformError) {
    for folder in [path, path + "/checkpoints", path + "/lists"] {
      let names: [String]
      do {
        names = try FileManager.default.contentsOfDirectory(atPath: folder)
      } catch {
        throw .unreadable(path: folder, errno: EIO)
      }
      for name in names.sorted() where Self.isLitter(name) {
        let path = folder + "/" + name
        guard unlink(path) == 0 else { throw .writeFailed(path: path, errno: errno) }
      }
    }
  }

  /// Whether a name is that of a file whose writer was killed (`AtomicFile`).
  private static func isLitter(_ name: String) -> Bool {
    guard let mark = name.range(of: ".tmp.", options: .backwards) else { return false }
    let number = name[mark.upperBound...]
    return !number.isEmpty && number.allSatisfy(\.isNumber)
  }
}
