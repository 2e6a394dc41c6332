namespace Discobot.Tests.Fixtures;

/// <summary>For tests that look at the whole process, as at its memory: nothing else runs beside them.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
