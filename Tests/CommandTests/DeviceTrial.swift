import Foundation
import Platform
import TestSupport
import Testing

/// What is asked of the commands on every device that stands in the processor's place.
struct DeviceTrial {
  /// As `--device` takes it.
  let device: String
  /// Where the device's library is, and what it is to play.
  let environment: [String: String]

  func run(_ arguments: [String], _ more: [String: String] = [:]) throws -> Executable.Output {
    try Executable.run(arguments, environment: environment.merging(more) { $1 })
  }

  private static func numbers(_ output: Executable.Output) throws -> [Double] {
    let images = try output.json()["images"]?.array ?? []
    return images.flatMap { $0["findings"]?.array?.compactMap { $0["probability"]?.double } ?? [] }
  }

  /// `predict`, `evaluate` and `heatmap` say what the processor says.
  func inferenceIsTheProcessors(_ folder: String) throws {
    let checkpoint = try importedCheckpoint(folder)
    for flags in [["--precision", "fp32"], ["--crops", "10"]] {
      let predict = ["predict", checkpoint, SmallDemo.image, "--json"] + flags
      let (there, here) = (try run(predict + ["--device", device]), try run(predict + ["--device", "cpu"]))
      #expect(there.status == 0, "\(there.err)")
      let (found, expected) = (try Self.numbers(there), try Self.numbers(here))
      #expect(found.count == expected.count && !found.isEmpty)
      // Both round sums of fp32, in other orders.
      for (mine, theirs) in zip(found, expected) { #expect(abs(mine - theirs) <= 1e-5) }
    }
    let evaluate = [
      "evaluate", checkpoint, "--data", SmallDemo.folder, "--test", SmallDemo.folder + "/test_list.txt", "--json",
    ]
    let scores = try [device, "cpu"].map { device in
      let output = try run(evaluate + ["--device", device])
      #expect(output.status == 0, "\(output.err)")
      return try output.json()["checkpoints"]?.array?.first?["mean_auroc"]?.double
    }
    #expect(scores[0] != nil && scores[0] == scores[1])

    for (device, output) in [(device, "/maps-there"), ("cpu", "/maps-here")] {
      let drawn = try run([
        "heatmap", checkpoint, SmallDemo.image, "--finding", "Hernia", "--output", folder + output, "--device", device,
      ])
      #expect(drawn.status == 0, "\(drawn.err)")
    }
    let maps = try ["/maps-there", "/maps-here"].map {
      try FileReader.contents(of: folder + $0 + "/00000001_000.Hernia.pgm")
    }
    #expect(maps[0].count == maps[1].count)
    // A gray level where a value lies between two.
    for (mine, theirs) in zip(maps[0], maps[1]) { #expect(abs(Int(mine) - Int(theirs)) <= 1) }
  }

  /// What is wrong, in what surroundings, and what is said.
  typealias Fault = (device: String, environment: [String: String], id: String, exit: Int32, hint: String)

  /// Nothing but the error is printed.
  func expect(_ faults: [Fault], _ checkpoint: String) throws {
    for (device, more, id, exit, hint) in faults {
      let output = try run(["predict", checkpoint, SmallDemo.image, "--json", "--device", device], more)
      let error = try output.error()
      #expect(output.status == exit && error["id"]?.string == id, "\(device), \(more): \(output.err)")
      #expect(error["hint"]?.string?.contains(hint) == true, "\(output.err)")
      #expect(output.out.isEmpty)
    }
  }

  /// `--memory-efficient` is the processor's alone.
  func refusesMemoryEfficiency(_ folder: String) throws {
    let finetune = try run(
      SmallDemo.finetune(folder + "/run") + ["--device", device, "--memory-efficient", "--json"])
    #expect(finetune.status == 69)
    #expect(try finetune.error()["id"] == "device.memory-efficient")
    #expect(!FileManager.default.fileExists(atPath: folder + "/run"))
  }

  /// A run ends as one that was stopped between its epochs, byte for byte, and goes on where another device has begun it.
  func resumes(_ folder: String) throws {
    let runs: [(name: String, starts: [(epochs: Int, device: String)])] = [
      ("whole", [(2, device)]), ("cut", [(1, device), (2, device)]), ("cpu", [(2, "cpu")]),
      ("moved", [(1, "cpu"), (2, device)]),
    ]
    var losses: [String: Double] = [:]
    for (name, starts) in runs {
      for (epochs, device) in starts {
        let output = try run(
          SmallDemo.finetune(folder + "/" + name, epochs: epochs) + ["--device", device, "--precision", "fp32"])
        #expect(output.status == 0, "\(output.err)")
      }
      let rows = try String(contentsOfFile: folder + "/\(name)/metrics.csv", encoding: .utf8).split(separator: "\n")
      let place = try #require(rows.first?.split(separator: ",").firstIndex(of: "validation_loss"))
      losses[name] = Double(String(rows[2].split(separator: ",", omittingEmptySubsequences: false)[place]))
    }
    for file in ["/checkpoints/last.safetensors", "/metrics.csv"] {
      #expect(
        try FileReader.contents(of: folder + "/whole" + file) == FileReader.contents(of: folder + "/cut" + file))
    }
    // Rounding in another order, through two epochs of Adam.
    let expected = try #require(losses["cpu"])
    for name in ["whole", "moved"] { #expect(abs((losses[name] ?? .nan) - expected) <= 1e-2 * expected) }
  }
}
