import Testing

@testable import Engine

@Suite struct MPIFunctionsTests {
  /// As these libraries say it (`MPI_Get_library_version`).
  @Test(arguments: [
    ("Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4, repo rev: v4.1.4, May 26, 2022", "v4.1.4"),
    ("Open MPI v5.0.7, package: Open MPI root@host Distribution, ident: 5.0.7", "v5.0.7"),
    ("MPICH Version:\t4.0.2\nMPICH Release date:\tThu Apr  7 12:34:45 CDT 2022\n", "4.0.2"),
    ("Intel(R) MPI Library 2021.11 for Linux* OS\n", "2021.11"),
    ("MVAPICH2 Version      :\t2.3.7\n", "2.3.7"), ("something else", nil),
  ])
  func `the version is what a library says of itself`(words: String, version: String?) {
    #expect(MPIFunctions.words(of: words) == version)
  }

  @Test func `the rank is what any launcher says`() {
    #expect(Launcher.rank(in: ["OMPI_COMM_WORLD_RANK": "3"]) == 3)
    #expect(Launcher.rank(in: ["PMI_RANK": "0", "SLURM_PROCID": "5"]) == 0)
    #expect(Launcher.rank(in: ["PMIX_RANK": "7"]) == 7)
    #expect(Launcher.rank(in: ["SLURM_PROCID": "5"]) == nil)
  }
}
