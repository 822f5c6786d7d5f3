import Foundation
import Platform
import TestSupport
import Testing

/// The commands on a Gaudi, whose Synapse here is the stub's.
@Suite struct GaudiCommandTests {
  /// Cards are held by files in `folder`: each test has cards of its own.
  private static func run(
    _ arguments: [String], _ folder: String, _ environment: [String: String] = [:]
  ) throws -> Executable.Output {
    try Executable.run(
      arguments,
      environment: ["CHEXNET_SYNAPSE": builtGaudiStub, "GAUDI_STUB_RUN": folder, "XDG_CACHE_HOME": folder + "/cache"]
        .merging(environment) { $1 })
  }

  private static func numbers(_ output: Executable.Output) throws -> [Double] {
    let images = try output.json()["images"]?.array ?? []
    return images.flatMap { $0["findings"]?.array?.compactMap { $0["probability"]?.double } ?? [] }
  }

  @Test func `predict, evaluate and heatmap say what the processor says`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      for flags in [["--precision", "fp32"], ["--crops", "10"]] {
        let predict = ["predict", checkpoint, SmallDemo.image, "--json"] + flags
        let (there, here) = (
          try Self.run(predict + ["--device", "gaudi"], folder), try Self.run(predict + ["--device", "cpu"], folder)
        )
        #expect(there.status == 0, "\(there.err)")
        let (found, expected) = (try Self.numbers(there), try Self.numbers(here))
        #expect(found.count == expected.count && !found.isEmpty)
        // Both round sums of fp32, in other orders.
        for (mine, theirs) in zip(found, expected) { #expect(abs(mine - theirs) <= 1e-5) }
      }
      let evaluate = [
        "evaluate", checkpoint, "--data", SmallDemo.folder, "--test", SmallDemo.folder + "/test_list.txt", "--json",
      ]
      let scores = try ["gaudi", "cpu"].map { device in
        let output = try Self.run(evaluate + ["--device", device], folder)
        #expect(output.status == 0, "\(output.err)")
        return try output.json()["checkpoints"]?.array?.first?["mean_auroc"]?.double
      }
      #expect(scores[0] != nil && scores[0] == scores[1])

      for (device, output) in [("gaudi", "/maps-there"), ("cpu", "/maps-here")] {
        let drawn = try Self.run(
          [
            "heatmap", checkpoint, SmallDemo.image, "--finding", "Hernia", "--output", folder + output, "--device",
            device,
          ], folder)
        #expect(drawn.status == 0, "\(drawn.err)")
      }
      let maps = try ["/maps-there", "/maps-here"].map {
        try FileReader.contents(of: folder + $0 + "/00000001_000.Hernia.pgm")
      }
      #expect(maps[0].count == maps[1].count)
      // A gray level where a value lies between two.
      for (mine, theirs) in zip(maps[0], maps[1]) { #expect(abs(Int(mine) - Int(theirs)) <= 1) }
    }
  }

  @Test func `what is wrong with the device is said before anything is done, with what to do`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      let predict = ["predict", checkpoint, SmallDemo.image, "--json", "--device"]
      let cases: [(device: String, environment: [String: String], id: String, exit: Int32, hint: String)] = [
        ("gaudi", ["CHEXNET_SYNAPSE": folder + "/libSynapse.so"], "device.no-synapse", 69, "CHEXNET_SYNAPSE"),
        // A library that has none of the functions, as an old release has not all.
        ("gaudi", ["CHEXNET_SYNAPSE": builtCUDAEmulator], "device.no-synapse", 69, "release 1.13"),
        ("gaudi", ["GAUDI_STUB_DEVICES": "0"], "device.none", 69, "hl-smi"),
        ("gaudi", ["HABANA_VISIBLE_MODULES": "7"], "device.none", 69, "HABANA_VISIBLE_MODULES"),
        ("gaudi:2", ["GAUDI_STUB_DEVICES": "2"], "device.no-such", 69, "gaudi:0"),
        ("gaudi:one", [:], "device.name", 64, "gaudi"),
        ("gaudi", ["GAUDI_STUB_TAKEN": "1"], "device.taken", 69, "hl-smi"),
        ("gaudi:0", ["GAUDI_STUB_TAKEN": "1"], "device.taken", 69, "free one"),
        ("gaudi", ["GAUDI_STUB_MEMORY": "1000000"], "device.memory", 71, "batch"),
        ("gaudi", ["GAUDI_STUB_FAIL_COMPILE": "batch_norm_inf_f32"], "device.compile", 69, "--compile-only"),
        ("gaudi", ["GAUDI_STUB_FAIL_LAUNCH": "1"], "device.failed", 69, "dmesg"),
        ("gaudi1", [:], "device.unavailable", 69, "--device cpu"),
      ]
      for (device, environment, id, exit, hint) in cases {
        let output = try Self.run(predict + [device], folder, environment)
        let error = try output.error()
        #expect(output.status == exit && error["id"]?.string == id, "\(device), \(environment): \(output.err)")
        #expect(error["hint"]?.string?.contains(hint) == true, "\(output.err)")
        #expect(output.out.isEmpty)
      }
    }
  }

  /// The network of a run is what the processor's run has; bf16 is another rounding of every map, which ten steps show in the loss's third digit.
  @Test func `finetune learns what it learns on the processor`() throws {
    try inTemporaryFolder { folder in
      let list = try RanksTests.shortList(folder, 34)
      for precision in ["fp32", "bf16"] {
        for device in ["gaudi", "cpu"] {
          let run = try Self.run(
            RanksTests.finetune("\(folder)/\(device)-\(precision)", batchSize: 8, list: list)
              + ["--precision", precision] + (device == "gaudi" ? ["--hpu"] : ["--device", "cpu"]), folder)
          #expect(run.status == 0, "\(run.err)")
        }
      }
      try RanksTests.expectSame(folder + "/gaudi-fp32", as: folder + "/cpu-fp32")
      try GaudiRanksTests.expectCloseLosses(folder + "/gaudi-bf16", folder + "/cpu-bf16")
    }
  }

  @Test func `a run that is resumed ends as one that was not`() throws {
    try inTemporaryFolder { folder in
      for (path, epochs) in [("/whole", [2]), ("/parts", [1, 2])] {
        for epochs in epochs {
          let output = try Self.run(SmallDemo.finetune(folder + path, epochs: epochs) + ["--device", "gaudi"], folder)
          #expect(output.status == 0, "\(output.err)")
        }
      }
      let weights = try ["/whole", "/parts"].map {
        try FileReader.contents(of: folder + $0 + "/checkpoints/last.safetensors")
      }
      #expect(weights[0] == weights[1])
    }
  }

  @Test func `what training on a Gaudi cannot do is said`() throws {
    try inTemporaryFolder { folder in
      let start = SmallDemo.finetune(folder + "/run", epochs: 1) + ["--device", "gaudi", "--json"]
      let efficient = try Self.run(start + ["--memory-efficient"], folder)
      #expect(efficient.status == 64 || efficient.status == 69, "\(efficient.err)")
      #expect(try efficient.error()["message"]?.string?.contains("gaudi") == true)
      let short = try Self.run(start, folder, ["GAUDI_STUB_MEMORY": "1000000"])
      #expect(short.status == 71, "\(short.err)")
      #expect(!somethingStands(at: folder + "/run/checkpoints/last.safetensors"))
    }
  }

  @Test func `doctor compiles every node, with a card or without, and compares`() throws {
    try inTemporaryFolder { folder in
      let without = try Self.run(
        ["doctor", "--device", "gaudi", "--compile-only", "--json"], folder, ["GAUDI_STUB_DEVICES": "0"])
      #expect(without.status == 0, "\(without.err)")
      let generations = try without.json()["compiled"]?.array ?? []
      #expect(generations.count == 2)
      for generation in generations {
        let graphs = generation["graphs"]?.array ?? []
        #expect(graphs.count > 50)
        for graph in graphs { #expect(graph["failures"]?.array?.isEmpty == true) }
      }
      let with = try Self.run(["doctor", "--device", "gaudi"], folder)
      #expect(with.status == 0, "\(with.err)")
      for words in [
        "what Synapse compiles for Gaudi 2", "nodes, against their definitions", "fp32 on gaudi (Gaudi 2)  22 cases",
        "bf16 on gaudi (Gaudi 2)  22 cases", "this Synapse is the tests' stand-in", "send this report in",
      ] {
        #expect(with.out.contains(words), "\(with.out)")
      }
      let refused = try Self.run(
        ["doctor", "--device", "gaudi", "--compile-only"], folder, ["GAUDI_STUB_FAIL_COMPILE": "relu_bwd_bf16"])
      #expect(refused.status == 70)
      // The node by itself, and the network that has it.
      #expect(refused.out.contains("59 graphs  2 WRONG") && refused.out.contains("relu_bwd_bf16"), "\(refused.out)")
      let misplaced = try Self.run(["doctor", "--compile-only"], folder)
      #expect(misplaced.status == 64)
    }
  }
}
