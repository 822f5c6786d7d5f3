import Engine
import Foundation
import Platform
import TestSupport
import Testing
import Training
import WeightFormats

/// The real executable, several of it, under the launchers of this machine.
@Suite(.serialized, .enabled(if: !MPI.installed.isEmpty, MPI.reason)) struct RanksTests {
  static func finetune(_ run: String, epochs: Int = 2, batchSize: Int, list: String? = nil) -> [String] {
    SmallDemo.finetune(run, epochs: epochs) + [
      "--batch-size", "\(batchSize)", "--optimizer", "sgd", "--augment", "flip", "--cache", "never", "--threads", "1",
      "--comm-timeout", "30",
    ] + (list.map { ["--train", $0] } ?? [])
  }

  /// The first `count` lines of the training list.
  static func shortList(_ folder: String, _ count: Int) throws -> String {
    let lines = try String(contentsOfFile: SmallDemo.folder + "/train_list.txt", encoding: .utf8).split(separator: "\n")
    try AtomicFile.write(
      lines.prefix(count).joined(separator: "\n") + "\n", to: folder + "/train.txt", overwriting: true)
    return folder + "/train.txt"
  }

  private static func tensors(_ path: String) throws -> [String: [Float]] {
    let tensors = try WeightFile.open(path: path).tensors()
    return Dictionary(uniqueKeysWithValues: tensors.names.map { ($0, tensors[$0]?.floats() ?? []) })
  }

  /// That the tensors of a run's last checkpoint are another's to 10⁻⁵ of each one's largest value: what the order of sums leaves in Float over ten steps
  /// (some 10⁻⁷, seen by hand), with room for other instruction sets. Shifts and biases begin at zero, and have moved by less than a step's rate of 10⁻³ each
  /// time: against that their differences are measured, not against themselves.
  static func expectSame(_ found: String, as expected: String, where isCompared: (String) -> Bool = { _ in true })
    throws
  {
    let (found, expected) = (
      try tensors(found + "/checkpoints/last.safetensors"), try tensors(expected + "/checkpoints/last.safetensors")
    )
    #expect(expected.count == found.count && found.count > 20)
    for (name, values) in expected where isCompared(name) {
      let largest = values.map(abs).max() ?? 0
      let others = found[name] ?? []
      #expect(others.count == values.count, "\(name)")
      // What is not a number is close to none.
      let far = zip(values, others).filter { !(abs($0 - $1) <= 1e-5 * max(largest, 1e-3)) }
      #expect(far.isEmpty, "\(name), of at most \(largest): \(far.prefix(3))")
    }
  }

  /// Two epochs of five steps of SGD, the last of which has two images: of four ranks two have none. The running statistics too are those of the whole batch.
  @Test(arguments: MPI.installed, [1, 2, 4])
  func `with synchronised batch norm, ranks are one process on the joined batch`(mpi: MPI, ranks: Int) throws {
    try inTemporaryFolder { folder in
      let list = try Self.shortList(folder, 34)
      let one = folder + "/one"
      #expect(try Executable.run(Self.finetune(one, batchSize: 8, list: list)).status == 0)
      let arguments = Self.finetune(folder + "/many", batchSize: 8 / ranks, list: list) + ["--sync-batch-norm"]
      let output = try mpi.run(ranks, arguments)
      #expect(output.status == 0, "\(output.err)")
      try Self.expectSame(folder + "/many", as: one)
    }
  }

  /// The processes' work done in one, whose sums are taken without an MPI. Of two numbers there is one sum: the bytes are the same.
  @Test(arguments: MPI.installed, [2, 4])
  func `ranks are one process that runs their shares and averages`(mpi: MPI, ranks: Int) throws {
    try inTemporaryFolder { folder in
      let list = try Self.shortList(folder, 34)
      let output = try mpi.run(ranks, Self.finetune(folder + "/mpi", batchSize: 8 / ranks, list: list))
      #expect(output.status == 0, "\(output.err)")
      _ = try ThreadGroup.run(ranks) { collective in
        var options = TrainingOptions(
          data: SmallDemo.folder, trainList: list, validationList: SmallDemo.folder + "/val_list.txt",
          start: .random(architecture: "2:1,1"))
        options.imageSize = 32
        options.epochs = 2
        options.batchSize = 8 / ranks
        options.optimizer = .sgd
        options.learningRate = 1e-3
        options.schedule = .constant
        options.augmentation = .flip
        options.cache = .never
        let pool = ThreadPool(threads: 1)
        let finetuner = Finetuner(
          options, output: folder + "/threads", resume: .never,
          backend: try backend(named: "auto", pool: pool), pool: pool, collective: collective)
        return try finetuner { _ in }.epochs
      }
      for file in [
        "settings.json", "metrics.csv", "checkpoints/last.safetensors", "checkpoints/last.state.safetensors",
      ]
      where ranks == 2 || file == "settings.json" {
        let bytes = try ["mpi", "threads"].map { try FileReader.contents(of: "\(folder)/\($0)/\(file)") }
        #expect(bytes[0] == bytes[1], "\(file)")
      }
      try Self.expectSame(folder + "/mpi", as: folder + "/threads")
    }
  }

  /// Shares of a step are what accumulation cuts a step into: with local statistics the gradients are the same sums, and so are the trained
  /// parameters but for the order of the additions, in Float 10⁻⁶ of the largest, over ten steps of a small rate. Running statistics are not: they are
  /// averaged here, and follow one another there.
  @Test(arguments: MPI.installed, [2, 4])
  func `ranks are one process that accumulates as many micro-batches`(mpi: MPI, ranks: Int) throws {
    try inTemporaryFolder { folder in
      let list = try Self.shortList(folder, 40)
      let one = folder + "/one"
      let micro = 8 / ranks
      let alone = Self.finetune(one, batchSize: micro, list: list) + ["--gradient-accumulation", "\(ranks)"]
      #expect(try Executable.run(alone).status == 0)
      let output = try mpi.run(ranks, Self.finetune(folder + "/many", batchSize: micro, list: list))
      #expect(output.status == 0, "\(output.err)")
      #expect(output.err.contains("\(ranks) ranks on 1 host, 1 thread each"))
      try Self.expectSame(folder + "/many", as: one) { !$0.contains("running_") }
      let metrics = try String(contentsOfFile: folder + "/many/metrics.csv", encoding: .utf8)
      #expect(metrics.split(separator: "\n").count == 3)
    }
  }

  /// 42 images in steps of 3 · 5, so that the last step has 12, and a validation list that 3 does not divide; and with more ranks than the last step has images.
  @Test(arguments: MPI.installed) func `uneven and empty shares are trained on, and the same MPI gives the same bytes`(
    mpi: MPI
  ) throws {
    try inTemporaryFolder { folder in
      for (count, batchSize, images) in [(3, 5, 42), (4, 2, 34)] {
        let list = try Self.shortList(folder, images)
        for run in ["a", "b"] {
          let output = try mpi.run(count, Self.finetune("\(folder)/\(run)\(count)", batchSize: batchSize, list: list))
          #expect(output.status == 0, "\(output.err)")
        }
        for file in ["metrics.csv", "checkpoints/last.safetensors", "checkpoints/last.state.safetensors"] {
          let bytes = try ["a", "b"].map { try FileReader.contents(of: "\(folder)/\($0)\(count)/\(file)") }
          #expect(bytes[0] == bytes[1], "\(file)")
        }
      }
    }
  }

  @Test(arguments: MPI.installed) func `a run goes on with other ranks`(mpi: MPI) throws {
    try inTemporaryFolder { folder in
      let run = folder + "/run"
      for (epochs, ranks) in [(1, 2), (2, 1), (3, 4)] {
        let arguments = Self.finetune(run, epochs: epochs, batchSize: 4)
        let output = ranks == 1 ? try Executable.run(arguments) : try mpi.run(ranks, arguments)
        #expect(output.status == 0, "\(output.err)")
        #expect(epochs == 1 || output.err.contains("resuming \(run) behind epoch \(epochs - 1)"))
      }
      let metrics = try String(contentsOfFile: run + "/metrics.csv", encoding: .utf8).split(separator: "\n")
      #expect(metrics.dropFirst().map { $0.prefix(2) } == ["1,", "2,", "3,"])
      #expect(metrics.allSatisfy { !$0.contains("nan") })
    }
  }

  @Test(arguments: MPI.installed) func `evaluate says the same bytes as one process`(mpi: MPI) throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      let arguments = [
        "evaluate", checkpoint, "--data", SmallDemo.folder, "--test", SmallDemo.folder + "/train_list.txt", "--json",
      ]
      let one = try Executable.run(arguments + ["--predictions", folder + "/one.csv"])
      for ranks in [2, 3] {
        let path = folder + "/\(ranks).csv"
        let many = try mpi.run(ranks, arguments + ["--predictions", path])
        #expect(many.status == 0, "\(many.err)")
        #expect(many.out == one.out)
        #expect(try FileReader.contents(of: path) == FileReader.contents(of: folder + "/one.csv"))
      }
      let failed = try mpi.run(2, arguments + ["--fail-under", "1"])
      #expect(failed.status == 12)
      #expect(failed.err.components(separatedBy: "is under 1").count == 2)
    }
  }

  @Test(arguments: MPI.installed) func `what all have wrong is told once, with its exit status`(mpi: MPI) throws {
    try inTemporaryFolder { folder in
      let missing = try mpi.run(3, Self.finetune(folder + "/run", batchSize: 4, list: folder + "/none.txt"))
      #expect(missing.status == 66)
      #expect(missing.err.components(separatedBy: "error: no such file").count == 2, "\(missing.err)")
      #expect(!FileManager.default.fileExists(atPath: folder + "/run"))
    }
  }

  @Test(arguments: MPI.installed) func `ranks that were started for other things are refused by name`(mpi: MPI) throws {
    try inTemporaryFolder { folder in
      let run = folder + "/run"
      let first = mpi.command(1, Self.finetune(run, batchSize: 4))
      let second = [":", "-n", "1", builtExecutable] + Self.finetune(run, batchSize: 4) + ["--seed", "7"]
      let output = try mpi.start(first + second).finish()
      #expect(output.status == 64, "\(output.err)")
      #expect(output.err.contains("rank 1 on "))
      #expect(output.err.contains("was started with other options, lists, weights or another version than rank 0"))
      #expect(!FileManager.default.fileExists(atPath: run))
    }
  }

  /// The same words mean other files in another folder, as on another machine.
  @Test(arguments: MPI.installed) func `lists that differ under one name are refused`(mpi: MPI) throws {
    try inTemporaryFolder { folder in
      for (place, count) in [("a", 20), ("b", 21)] {
        try createFolder("\(folder)/\(place)")
        _ = try Self.shortList("\(folder)/\(place)", count)
      }
      func part(_ place: String) -> [String] {
        ["-n", "1", "-wdir", "\(folder)/\(place)", builtExecutable]
          + Self.finetune(folder + "/run", batchSize: 4, list: "train.txt")
      }
      // What stands before `-n 1`.
      let launcher = Array(mpi.command(1, []).dropLast(3))
      let output = try mpi.start(launcher + part("a") + [":"] + part("b")).finish()
      #expect(output.status == 64, "\(output.err)")
      #expect(output.err.contains("was started with other options, lists, weights"), "\(output.err)")
      #expect(!FileManager.default.fileExists(atPath: folder + "/run"))
    }
  }

  /// Each rank meets its own: all are told, and a list of nothing else ends the run.
  @Test(arguments: MPI.installed) func `images that any rank leaves out are told`(mpi: MPI) throws {
    try inTemporaryFolder { folder in
      let list = try Self.shortList(folder, 8)
      let names = try String(contentsOfFile: list, encoding: .utf8).split(separator: "\n").compactMap {
        $0.split(separator: " ").first.map { String($0) }
      }
      let images = folder + "/images"
      try FileManager.default.copyItem(atPath: SmallDemo.folder + "/images", toPath: images)
      func damage(_ name: String) throws {
        try AtomicFile.write("no image", to: "\(images)/\(name)", overwriting: true)
      }
      let arguments = { (run: String) in
        Self.finetune(folder + "/" + run, batchSize: 2, list: list) + ["--data", folder, "--on-bad-image", "skip"]
      }
      for name in names.prefix(3) { try damage(name) }
      let some = try mpi.run(2, arguments("some"))
      #expect(some.status == 0, "\(some.err)")
      let events = try String(contentsOfFile: folder + "/some/events.jsonl", encoding: .utf8)
      for name in names.prefix(3) {
        #expect(some.err.components(separatedBy: "skipped: ").count == 4, "\(some.err)")
        #expect(some.err.contains(name) && events.contains(name), "\(name)")
      }
      for name in names { try damage(name) }
      let all = try mpi.run(2, arguments("all"))
      #expect(all.status == 65, "\(all.err)")
      #expect(all.err.components(separatedBy: "8 of 8 images cannot be read").count == 2, "\(all.err)")
    }
  }

  /// A rank alone finds its image damaged: the last of the list is the last rank's.
  @Test(arguments: MPI.installed) func `a bad image in one rank ends all, and is told with rank and host`(mpi: MPI)
    throws
  {
    try inTemporaryFolder { folder in
      try createFolder(folder + "/images")
      for image in try FileManager.default.contentsOfDirectory(atPath: SmallDemo.folder + "/images") {
        try FileManager.default.copyItem(
          atPath: "\(SmallDemo.folder)/images/\(image)", toPath: "\(folder)/images/\(image)")
      }
      let list = try String(contentsOfFile: SmallDemo.folder + "/test_list.txt", encoding: .utf8)
      let last = try #require(list.split(separator: "\n").last?.split(separator: " ").first)
      // Damage inside, which no outline shows.
      var bytes = try FileReader.contents(of: "\(folder)/images/\(last)")
      bytes[bytes.count / 2] ^= 0xFF
      try AtomicFile.write(bytes, to: "\(folder)/images/\(last)", overwriting: true)
      let checkpoint = try importedCheckpoint(folder)
      let output = try mpi.run(
        2,
        [
          "evaluate", checkpoint, "--data", folder + "/images", "--test", SmallDemo.folder + "/test_list.txt",
          "--comm-timeout", "20",
        ])
      #expect(output.status == 65, "\(output.err)")
      #expect(output.err.contains("error: rank 1 on ") && output.err.contains(last), "\(output.err)")
    }
  }
}

/// What is wrong between launcher and library; no process is needed but this one.
@Suite struct LauncherRefusalTests {
  private let arguments = ["evaluate", "a.safetensors", "--data", "x", "--test", "y"]

  @Test(arguments: [
    (
      ["OMPI_COMM_WORLD_SIZE": "2", "CHEXNET_MPI": "/nowhere/libmpi.so"],
      "started by Open MPI's mpirun, but its MPI cannot be opened"
    ),
    (
      ["PMI_SIZE": "2", "PMI_RANK": "0", "CHEXNET_MPI": "/nowhere/libmpi.so"],
      "started by MPICH's mpiexec (PMI), but its MPI"
    ),
    (["WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4", "RANK": "0"], "use mpirun -n 4 chexnet"),
  ])
  func `a launcher without its MPI is exit 69 with what to do`(environment: [String: String], says: String) throws {
    let output = try Executable.run(arguments, environment: environment)
    #expect(output.status == 69)
    #expect(output.err.contains(says), "\(output.err)")
  }

  @Test(
    .enabled(if: MPI.installed.count == 2, "needs both MPIs (Tools/setup.sh --with-ranks)"), arguments: MPI.allCases)
  func `the other MPI's launcher is exit 69, and both are named`(mpi: MPI) throws {
    // The library of the other one.
    let library = mpi == .openMPI ? "libmpich.so.12" : "libmpi.so.40"
    let output = try mpi.run(2, arguments, environment: ["CHEXNET_MPI": library])
    #expect(output.status == 69, "\(output.err)")
    #expect(output.err.contains("has started 2 processes, but "), "\(output.err)")
  }
}
