import Foundation
import Platform
import TestSupport
import Testing

/// The commands on an NVIDIA GPU, whose driver here is the emulator's.
@Suite struct CUDACommandTests {
  private static let emulator = ["CHEXNET_CUDA": builtCUDAEmulator]

  private static func run(_ arguments: [String], _ environment: [String: String] = [:]) throws -> Executable.Output {
    try Executable.run(arguments, environment: emulator.merging(environment) { $1 })
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
          try Self.run(predict + ["--device", "cuda"]), try Self.run(predict + ["--device", "cpu"])
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
      let scores = try ["cuda", "cpu"].map { device in
        let output = try Self.run(evaluate + ["--device", device])
        #expect(output.status == 0, "\(output.err)")
        return try output.json()["checkpoints"]?.array?.first?["mean_auroc"]?.double
      }
      #expect(scores[0] != nil && scores[0] == scores[1])

      for (device, output) in [("cuda", "/maps-there"), ("cpu", "/maps-here")] {
        let drawn = try Self.run([
          "heatmap", checkpoint, SmallDemo.image, "--finding", "Hernia", "--output", folder + output, "--device",
          device,
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
  }

  @Test func `what is wrong with the device is said before anything is done, with what to do`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      let predict = ["predict", checkpoint, SmallDemo.image, "--json", "--device"]
      let cases: [(device: String, environment: [String: String], id: String, exit: Int32, hint: String)] = [
        ("cuda", ["CHEXNET_CUDA": folder + "/libcuda.so.1"], "device.no-driver", 69, "CHEXNET_CUDA"),
        ("cuda", ["CUDA_EMULATOR_DEVICES": "0"], "device.none", 69, "nvidia-smi"),
        ("cuda", ["CUDA_VISIBLE_DEVICES": ""], "device.none", 69, "CUDA_VISIBLE_DEVICES"),
        ("cuda:2", ["CUDA_EMULATOR_DEVICES": "2"], "device.no-such", 69, "cuda:0"),
        ("cuda:one", [:], "device.name", 64, "cuda:0"),
        ("cuda", ["CUDA_EMULATOR_CAPABILITY": "7.5"], "device.unsupported", 69, "cpu"),
        ("cuda", ["CUDA_EMULATOR_MEMORY": "1000000"], "device.memory", 71, "batch"),
        ("cuda", ["CUDA_EMULATOR_FAIL": "cuLaunchKernel:700:1"], "device.failed", 69, "dmesg"),
        ("cuda1", [:], "device.unavailable", 69, "--device cpu"),
      ]
      for (device, environment, id, exit, hint) in cases {
        let output = try Self.run(predict + [device], environment)
        let error = try output.error()
        #expect(output.status == exit && error["id"]?.string == id, "\(device), \(environment): \(output.err)")
        #expect(error["hint"]?.string?.contains(hint) == true, "\(output.err)")
        #expect(output.out.isEmpty)
      }
      let second = try Self.run(predict + ["cuda:1"], ["CUDA_EMULATOR_DEVICES": "2"])
      #expect(second.status == 0, "\(second.err)")

      let finetune = try Self.run(
        SmallDemo.finetune(folder + "/run") + ["--device", "cuda", "--memory-efficient", "--json"])
      #expect(finetune.status == 69)
      #expect(try finetune.error()["id"] == "device.memory-efficient")
      #expect(!FileManager.default.fileExists(atPath: folder + "/run"))
    }
  }

  @Test func `the emulator tells what each launch moved`() throws {
    try inTemporaryFolder { folder in
      let log = folder + "/launches.tsv"
      let predict = ["predict", try importedCheckpoint(folder), SmallDemo.image, "--device", "cuda"]
      let output = try Self.run(predict, ["CUDA_EMULATOR_LAUNCHES": log, "CUDA_EMULATOR_MULTIPROCESSORS": "1"])
      #expect(output.status == 0, "\(output.err)")
      let lines = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
      #expect(lines.last?.hasPrefix("head_classifier\t1\t") == true)
      for line in lines {
        let numbers = line.split(separator: "\t").dropFirst().compactMap { Int($0) }
        #expect(numbers.count == 8 && numbers[0] == 1, "\(line)")
        #expect(0 < numbers[3] && 0 < numbers[4] && numbers[4] <= numbers[2], "\(line)")
      }
    }
  }

  @Test func `finetune learns what the processor learns, resumes to the same bytes, and goes on elsewhere`() throws {
    try inTemporaryFolder { folder in
      let runs: [(name: String, starts: [(epochs: Int, device: String)])] = [
        ("whole", [(2, "cuda")]), ("cut", [(1, "cuda"), (2, "cuda")]), ("cpu", [(2, "cpu")]),
        ("moved", [(1, "cpu"), (2, "cuda")]),
      ]
      var losses: [String: Double] = [:]
      for (name, starts) in runs {
        for (epochs, device) in starts {
          let output = try Self.run(
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

  @Test func `doctor compares instructions and arithmetic, and measures nothing on an emulator`() throws {
    let output = try Self.run(["doctor", "--device", "cuda", "--json"], ["CHEXNET_NCCL": builtCUDAEmulator])
    #expect(output.status == 0, "\(output.err)")
    let report = try output.json()
    #expect(report["conforms"]?.bool == true)
    #expect(report["device"]?["compute_capability"] == "9.0")
    #expect(report["device"]?["nccl"]?.string?.hasPrefix("2.") == true)
    #expect((report["primitives"]?.array?.count ?? 0) == 6)
    #expect(report["conformance"]?.array?.compactMap { $0["name"]?.string?.prefix(4) } == ["fp32", "bf16"])
    #expect(report["inference"]?.array?.isEmpty == true && report["kernels"]?.array?.isEmpty == true)
    let text = try Self.run(
      ["doctor", "--device", "cuda", "--conformance-only"], ["CHEXNET_NCCL": "/none/libnccl.so.2"])
    #expect(text.out.contains("NCCL          none"))
    #expect(text.out.contains("mma.m16n8k16.bf16  ok") && text.out.contains("this device is an emulator"))
  }
}
