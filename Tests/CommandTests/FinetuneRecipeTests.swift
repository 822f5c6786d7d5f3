import Foundation
import Platform
import Tensors
import TestSupport
import Testing
import WeightFormats

/// The options of `finetune`'s recipe, as the run directory shows them.
@Suite struct FinetuneRecipeTests {
  @Test func `a run ends behind so many epochs without a lower validation loss, and goes on when it may have more`()
    throws
  {
    try inTemporaryFolder { folder in
      let arguments =
        SmallDemo.finetune(folder + "/run", epochs: 40) + [
          "--optimizer", "sgd", "--learning-rate", "0.3",
        ]
      let output = try Executable.run(arguments + ["--stop-after-bad-epochs", "2"])
      #expect(output.status == 0, "\(output.err)")
      let losses = try column("validation_loss", folder + "/run")
      let lowest = try #require(losses.indices.min { losses[$0] < losses[$1] })
      #expect(losses.count == lowest + 3)
      #expect(losses.count < 40)
      #expect(output.out.contains("stopped early: no lower validation loss since epoch \(lowest + 1)"))

      let again = try Executable.run(arguments + ["--stop-after-bad-epochs", "2", "--json"])
      #expect(try again.json()["was_finished"] == true)
      #expect(try again.json()["stopped_early"] == true)
      #expect(try column("validation_loss", folder + "/run") == losses)

      #expect(try Executable.run(arguments + ["--stop-after-bad-epochs", "3"]).status == 0)
      let more = try column("validation_loss", folder + "/run")
      #expect(more.count > losses.count)
      #expect(more.starts(with: losses))
    }
  }

  @Test func `when its time is over a run saves and says that it can go on`() throws {
    try inTemporaryFolder { folder in
      let output = try Executable.run(
        SmallDemo.finetune(folder + "/run", epochs: 100_000) + ["--max-time", "00:00:01", "--json"])
      #expect(output.status == 75)
      #expect(try output.error()["id"] == "run.interrupted")
      #expect(try output.error()["message"]?.string?.contains("--max-time") == true)
      #expect(FileManager.default.fileExists(atPath: folder + "/run/checkpoints/last.state.safetensors"))
    }
  }

  @Test func `before its job ends a run saves and says that it can go on, each time a step further`() throws {
    try inTemporaryFolder { folder in
      #expect(try Executable.run(SmallDemo.finetune(folder + "/whole", epochs: 1)).status == 0)
      for step in 1...2 {
        // The least margin is a minute: it is over from the start, and yet a step is made.
        let environment = ["SLURM_JOB_END_TIME": "\(Int(Date().timeIntervalSince1970) + 55)"]
        let output = try Executable.run(
          SmallDemo.finetune(folder + "/run", epochs: 1) + ["--json"], environment: environment)
        #expect(output.status == 75, "\(output.err)")
        #expect(output.err.contains("the job ends at 20"))
        let message = try #require(try output.error()["message"]?.string)
        #expect(
          message.contains("interrupted by the job's end (SLURM_JOB_END_TIME); saved behind epoch 0, step \(step)"))
      }
      let late = try Executable.run(
        SmallDemo.finetune(folder + "/run", epochs: 1),
        environment: ["SLURM_JOB_END_TIME": "\(Int(Date().timeIntervalSince1970) + 3600)"])
      #expect(late.status == 0, "\(late.err)")
      // The states of stops leave no previous one.
      try compareRuns(folder + "/run", with: folder + "/whole", "stopped twice")
    }
  }

  @Test(arguments: ["", "tomorrow", "-5", "1e9", "1700000000", "99999999999999999999"])
  func `an end of the job that is no time, or over, is ignored and told`(end: String) throws {
    try inTemporaryFolder { folder in
      let output = try Executable.run(
        SmallDemo.finetune(folder + "/run", epochs: 1), environment: ["SLURM_JOB_END_TIME": end])
      #expect(output.status == 0 && output.err.contains("SLURM_JOB_END_TIME is ignored: "), "\(output.err)")
    }
  }

  @Test(arguments: ["90", "1:60", "0:00", "-1:00", "1:2:3:4", "a:b"])
  func `a time that is none is a usage error`(time: String) throws {
    #expect(try Executable.run(SmallDemo.finetune("nowhere") + ["--max-time", time]).status == 64)
  }

  @Test func `a dry run counts everything and makes nothing`() throws {
    try inTemporaryFolder { folder in
      let arguments = SmallDemo.finetune(folder + "/run") + ["--gradient-accumulation", "2"]
      let plan = try Executable.run(arguments + ["--dry-run", "--json"]).json()
      #expect(!FileManager.default.fileExists(atPath: folder + "/run"))
      let rows = try String(contentsOfFile: SmallDemo.folder + "/train_list.txt", encoding: .utf8)
        .split(separator: "\n").map { $0.split(separator: " ") }
      #expect(plan["training_images"]?.integer == rows.count)
      #expect(plan["steps_an_epoch"]?.integer == (rows.count + 7) / 8)
      #expect(plan["done_epochs"]?.isNull == true)
      for (index, entry) in try #require(plan["classes"]?.array).enumerated() {
        #expect(entry["training"]?["positives"]?.integer == rows.count { $0[index + 1] == "1" })
        #expect(entry["training"]?["negatives"]?.integer == rows.count { $0[index + 1] == "0" })
      }
      let text = try Executable.run(arguments + ["--dry-run"])
      #expect(text.out.contains("training    \(rows.count) images"))
      #expect(text.err.isEmpty)

      // What would stop the run stops the dry run, and a run that is there is gone on with.
      #expect(try Executable.run(arguments + ["--dry-run", "--classes", "Mas"]).status == 65)
      #expect(try Executable.run(arguments).status == 0)
      #expect(try Executable.run(arguments + ["--dry-run", "--seed", "5"]).status == 64)
      let longer = try Executable.run(arguments + ["--epochs", "9", "--dry-run", "--json"]).json()
      #expect(longer["done_epochs"]?.integer == 2)
    }
  }

  @Test func `a loss that is no number stops before the update, with the images of the step`() throws {
    try inTemporaryFolder { folder in
      let arguments = SmallDemo.finetune(folder + "/run", epochs: 9) + ["--learning-rate", "1e30", "--json"]
      let output = try Executable.run(arguments)
      #expect(output.status == 10)
      let images = try #require(try output.error()["details"]?.array?.compactMap(\.string))
      let list = try String(contentsOfFile: SmallDemo.folder + "/train_list.txt", encoding: .utf8)
      #expect(images.count == 4)
      #expect(images.allSatisfy { list.contains($0 + " ") })
      let events = try String(contentsOfFile: folder + "/run/events.jsonl", encoding: .utf8).split(separator: "\n")
      let last = try JSONValue.parse(String(try #require(events.last)))
      #expect(last["event"] == "diverged")
      #expect(last["images"] == JSONValue(images))
      #expect(!FileManager.default.fileExists(atPath: folder + "/run/checkpoints/last.safetensors"))
    }
  }

  @Test func `the weights of every so many steps are kept`() throws {
    try inTemporaryFolder { folder in
      // 42 images are 11 steps an epoch.
      #expect(try Executable.run(SmallDemo.finetune(folder + "/one", epochs: 1)).status == 0)
      #expect(try Executable.run(SmallDemo.finetune(folder + "/two") + ["--checkpoint-every", "11"]).status == 0)
      let files = try FileManager.default.contentsOfDirectory(atPath: folder + "/two/checkpoints")
      #expect(files.filter { $0.hasPrefix("step-") }.sorted() == ["step-11.safetensors", "step-22.safetensors"])
      #expect(
        try FileReader.contents(of: folder + "/two/checkpoints/step-11.safetensors")
          == FileReader.contents(of: folder + "/one/checkpoints/last.safetensors"))
    }
  }

  @Test func `the average is what is validated and kept as best; without memory it is the weights`() throws {
    try inTemporaryFolder { folder in
      for (run, options) in [("plain", []), ("none", ["--ema", "0"]), ("long", ["--ema", "0.99"])] {
        let output = try Executable.run(SmallDemo.finetune(folder + "/" + run, epochs: 1) + options)
        #expect(output.status == 0, "\(output.err)")
      }
      func file(_ run: String, _ name: String) throws -> [UInt8] {
        try FileReader.contents(of: "\(folder)/\(run)/\(name)")
      }
      for name in ["metrics.csv", "checkpoints/best.safetensors"] {
        #expect(try file("none", name) == file("plain", name))
        #expect(try file("long", name) != file("plain", name))
      }
      #expect(try file("long", "checkpoints/last.safetensors") == file("plain", "checkpoints/last.safetensors"))
    }
  }

  @Test func `only the classifier learns while the features are frozen`() throws {
    try inTemporaryFolder { folder in
      func tensors(_ run: String, epochs: Int, _ options: [String]) throws -> NamedTensors {
        let output = try Executable.run(SmallDemo.finetune(folder + "/" + run, epochs: epochs) + options)
        #expect(output.status == 0, "\(output.err)")
        return try WeightFile.open(path: folder + "/" + run + "/checkpoints/last.safetensors").tensors()
      }
      let one = try tensors("one", epochs: 1, ["--freeze-epochs", "2"])
      let two = try tensors("two", epochs: 2, ["--freeze-epochs", "2"])
      let three = try tensors("three", epochs: 3, ["--freeze-epochs", "2"])
      func moved(_ name: String, _ first: NamedTensors, _ second: NamedTensors) -> Bool {
        first[name]?.floats() != second[name]?.floats()
      }
      #expect(!moved("features.conv0.weight", one, two))
      #expect(!moved("features.norm5.bias", one, two))
      #expect(moved("classifier.weight", one, two))
      #expect(moved("features.norm0.running_mean", one, two))
      #expect(moved("features.conv0.weight", two, three))
    }
  }

  @Test func `the reference implementation's spellings are the same options`() throws {
    try inTemporaryFolder { folder in
      let demo = SmallDemo.folder
      func settings(_ run: String, _ arguments: [String]) throws -> JSONValue {
        let output = try Executable.run(
          ["finetune", "--validation", demo + "/val_list.txt", "--epochs", "1", "--image-size", "32"] + arguments
            + ["--output", folder + "/" + run])
        #expect(output.status == 0, "\(output.err)")
        return try JSONValue.parse(try FileReader.contents(of: folder + "/" + run + "/settings.json"))
      }
      let start = SmallDemo.finetune(folder + "/start", epochs: 1)
      #expect(try Executable.run(start).status == 0)
      let weights = folder + "/start/checkpoints/last.safetensors"
      let theirs = try settings(
        "theirs",
        [
          "--data_dir", demo, "--train_image_list", demo + "/train_list.txt", "--model_path", weights, "--batch_size",
          "5", "--lr", "0.002", "--momentum", "0.8", "--optimizer", "sgd",
        ])
      let ours = try settings(
        "ours",
        [
          "--data", demo, "--train", demo + "/train_list.txt", "--weights", weights, "--batch-size", "5",
          "--learning-rate", "0.002", "--momentum", "0.8", "--optimizer", "sgd",
        ])
      #expect(theirs == ours)
      #expect(theirs["batch-size"]?.integer == 5)
      #expect(theirs["learning-rate"]?.double == 0.002)
      #expect(theirs["momentum"]?.double == 0.8)

      let gaudi = try Executable.run(start + ["--hpu", "--json"])
      #expect(gaudi.status == 69)
      #expect(try gaudi.error()["message"]?.string?.contains("“gaudi”") == true)
      #expect(try Executable.run(start + ["--hpu", "--device", "cpu"]).status == 64)
    }
  }

  @Test func `a step on ten crops takes as many images as any other`() throws {
    try inTemporaryFolder { folder in
      let arguments = SmallDemo.finetune(folder + "/run", epochs: 1) + ["--augment", "ten-crop"]
      let output = try Executable.run(arguments)
      #expect(output.status == 0, "\(output.err)")
      #expect(try column("train_loss", folder + "/run").count == 1)
      // The same images are one step each, whatever is shown of them.
      let plan = try Executable.run(arguments + ["--dry-run", "--json"]).json()
      #expect(plan["steps_an_epoch"]?.integer == 11)
    }
  }

  @Test func `a bar tells images a second and the share of waiting, and none tells nothing`() throws {
    try inTemporaryFolder { folder in
      let bar = try Executable.run(SmallDemo.finetune(folder + "/bar", epochs: 1) + ["--progress", "bar"])
      let line = try #require(bar.err.split(separator: "\r").first { $0.contains("images/s") }, "\(bar.err)")
      #expect(line.contains("% waiting"))
      #expect(line.contains("epoch 1/1"))
      let none = try Executable.run(SmallDemo.finetune(folder + "/none", epochs: 1) + ["--progress", "none"])
      #expect(none.err.isEmpty)
      #expect(none.out.contains("best epoch 1 of 1"))
    }
  }

  /// A column of a run's `metrics.csv`.
  private func column(_ name: String, _ run: String) throws -> [Double] {
    let rows = try String(contentsOfFile: run + "/metrics.csv", encoding: .utf8).split(separator: "\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    let index = try #require(rows.first?.firstIndex { $0 == name })
    return rows.dropFirst().compactMap { Double($0[index]) }
  }
}
