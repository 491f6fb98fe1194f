import manifest from '../../package.json' with { type: 'json' };

/** fossilrepo's own version, from package.json. */
export const ownVersion = manifest.version;
