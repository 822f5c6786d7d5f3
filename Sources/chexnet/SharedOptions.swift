import ArgumentParser
import Checkpoints
import Engine
import Evaluation
import Platform

/// The help of every `--device`.
let deviceHelp = ArgumentHelp("Where to run: \(backendNames.joined(separator: ", ")).", valueName: "name")

/// Where a network runs, and how much of it at a time.
struct DeviceOptions: ParsableArguments {
  @Option(help: deviceHelp)
  var device = "auto"

  @Option(help: ArgumentHelp("Images that the network is given at a time.", valueName: "n"))
  var batchSize = 16

  @Option(help: ArgumentHelp("Threads; by default as many as this process may run on.", valueName: "n"))
  var threads: Int?

  func validate() throws {
    if batchSize < 1 { throw ValidationError("--batch-size needs at least 1, found \(batchSize).") }
    if let threads, threads < 1 { throw ValidationError("--threads needs at least 1, found \(threads).") }
  }

  var pool: ThreadPool { ThreadPool(threads: threads) }

  func backend() throws(BackendError) -> any Backend { try Engine.backend(named: device, pool: pool) }
}

/// What a command may do to files that are already there, and in which form it answers.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Replace outputs that exist.")
  var force = false

  @Flag(help: "Print one JSON document instead of text.")
  var json = false
}

/// Prints one JSON document.
func printJSON(_ value: JSONValue) { print(value.text(pretty: true)) }
