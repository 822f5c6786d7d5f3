import Foundation
import Platform
import TestSupport
import Testing

@Suite struct FinetuneCommandTests {
  @Test func `a run leaves checkpoints that evaluate can score, and is finished the second time`() throws {
    try inTemporaryFolder { folder in
      let run = folder + "/run"
      let output = try Executable.run(SmallDemo.finetune(run))
      #expect(output.status == 0, "\(output.err)")
      #expect(output.out.contains("best epoch"))
      var files = try FileManager.default.subpathsOfDirectory(atPath: run).sorted()
      files.removeAll { $0.hasPrefix("events.out.tfevents.") }
      #expect(
        files == [
          "checkpoints", "checkpoints/best-auroc.safetensors", "checkpoints/best.safetensors",
          "checkpoints/last.safetensors", "checkpoints/last.state.safetensors",
          "checkpoints/previous.state.safetensors",
          "environment.json", "events.jsonl", "lists", "lists/train_list.txt", "lists/val_list.txt", "metrics.csv",
          "settings.json",
        ])
      let metrics = try text(run + "/metrics.csv").split(separator: "\n")
      #expect(metrics.count == 3)
      #expect(metrics[0].hasPrefix("epoch,learning_rate,train_loss,validation_loss,validation_auroc,auroc_Atelectasis"))

      let demo = SmallDemo.folder
      let evaluate = [
        "evaluate", run + "/checkpoints/best.safetensors", "--data", demo, "--test", demo + "/test_list.txt",
      ]
      let scored = try Executable.run(evaluate + ["--predictions", folder + "/predictions.csv", "--json"])
      #expect(scored.status == 0, "\(scored.err)")
      let rescored = try Executable.run(
        ["evaluate", "--scores", folder + "/predictions.csv", "--test", demo + "/test_list.txt", "--json"])
      let findings = try scored.json()["checkpoints"]?[0]?["findings"]
      #expect(findings?.array?.count == 14)
      #expect(try rescored.json()["checkpoints"]?[0]?["findings"] == findings)
      // The same labels from NIH's table, through a list of names.
      let official = try Executable.run([
        "evaluate", run + "/checkpoints/best.safetensors", "--data", demo, "--test", demo + "/official/test_list.txt",
        "--labels", demo + "/Data_Entry_2017.csv", "--json",
      ])
      #expect(try official.json()["checkpoints"]?[0]?["findings"] == findings)
      #expect(try Executable.run(evaluate + ["--fail-under", "1"]).status == 12)

      let again = try Executable.run(SmallDemo.finetune(run))
      #expect(again.status == 0)
      #expect(again.out.contains("is finished"))
    }
  }

  @Test(arguments: [SIGTERM, SIGINT, SIGUSR1])
  func `an interrupted run goes on to the same bytes`(signal: Int32) throws {
    try inTemporaryFolder { folder in
      #expect(try Executable.run(SmallDemo.finetune(folder + "/whole", epochs: 3)).status == 0)
      let running = try Executable.start(SmallDemo.finetune(folder + "/cut", epochs: 3))
      let deadline = Date() + 60
      // Somewhere behind the first epoch.
      while !running.err.contains("epoch 1/3"), Date() < deadline { usleep(2000) }
      kill(running.process.processIdentifier, signal)
      let cut = try running.finish()
      // Where the signal came behind the last step there was nothing left to stop.
      #expect([0, signal == SIGINT ? 130 : 75].contains(cut.status), "\(cut.err)")
      #expect(try Executable.run(SmallDemo.finetune(folder + "/cut", epochs: 3)).status == 0)
      for file in ["metrics.csv", "checkpoints/best.safetensors", "checkpoints/last.safetensors"] {
        let (whole, resumed) = (
          try FileReader.contents(of: folder + "/whole/" + file), try FileReader.contents(of: folder + "/cut/" + file)
        )
        #expect(whole == resumed, "\(file) differs")
      }
    }
  }

  @Test func `another setting is refused, named, and changes nothing`() throws {
    try inTemporaryFolder { folder in
      let run = folder + "/run"
      #expect(try Executable.run(SmallDemo.finetune(run, epochs: 1)).status == 0)
      let metrics = try text(run + "/metrics.csv")
      let output = try Executable.run(SmallDemo.finetune(run, epochs: 2) + ["--weight-decay", "0.5"])
      #expect(output.status == 64)
      #expect(output.err.contains("--weight-decay 1e-05 there, 0.5 now"))
      #expect(try text(run + "/metrics.csv") == metrics)
    }
  }

  @Test func `bad data stops before a run directory is made`() throws {
    try inTemporaryFolder { folder in
      let list = folder + "/list.txt"
      var arguments = SmallDemo.finetune(folder + "/run")
      let train = try #require(arguments.firstIndex(of: "--train")) + 1

      try AtomicFile.write("00000001_000.png 0 0 0 0 0 0 0 0 0 0 0 0 0 7\n", to: list, overwriting: false)
      arguments[train] = list
      #expect(try Executable.run(arguments).status == 65)

      try AtomicFile.write("99999999_000.png 0 0 0 0 0 0 0 0 0 0 0 0 0 1\n", to: list, overwriting: true)
      #expect(try Executable.run(arguments).status == 66)

      arguments[train] = SmallDemo.folder + "/val_list.txt"
      let overlap = try Executable.run(arguments)
      #expect(overlap.status == 65)
      #expect(overlap.err.contains("in both the training and the validation list"))

      arguments[train] = folder + "/nowhere.txt"
      #expect(try Executable.run(arguments).status == 66)
      #expect(!FileManager.default.fileExists(atPath: folder + "/run"))
    }
  }

  @Test func `a learning rate that blows up is exit 10`() throws {
    try inTemporaryFolder { folder in
      var arguments = SmallDemo.finetune(folder + "/run")
      arguments[try #require(arguments.firstIndex(of: "--learning-rate")) + 1] = "1e30"
      let output = try Executable.run(arguments + ["--json"])
      #expect(output.status == 10)
      #expect(try output.error()["id"] == "training.diverged")
    }
  }

  @Test func `memory-efficient training ends with the same bytes, and the textbook says that it has none`() throws {
    try inTemporaryFolder { folder in
      for (run, flags) in [("kept", []), ("again", ["--memory-efficient"])] {
        let output = try Executable.run(SmallDemo.finetune(folder + "/" + run) + ["--device", "cpu"] + flags)
        #expect(output.status == 0, "\(output.err)")
      }
      for file in ["/checkpoints/best.safetensors", "/metrics.csv"] {
        #expect(
          try FileReader.contents(of: folder + "/kept" + file) == FileReader.contents(of: folder + "/again" + file))
      }
      let textbook = try Executable.run(
        SmallDemo.finetune(folder + "/textbook") + ["--device", "reference", "--memory-efficient", "--json"])
      #expect(textbook.status == 69)
      #expect(try textbook.error()["id"] == "device.memory-efficient")
      #expect(!FileManager.default.fileExists(atPath: folder + "/textbook"))
    }
  }

  private func text(_ path: String) throws -> String {
    String(decoding: try FileReader.contents(of: path), as: UTF8.self)
  }
}
