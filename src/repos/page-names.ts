/**
 * The names of Fossil's pages that could be a repository's name: those of 2.21 (`fossil help --www`) to 2.29 (the lines
 * `** WEBPAGE:` of its sources). A repository of such a name would stand where people expect the page of another one.
 */
export const pageNames: ReadonlySet<string> = new Set(
  `
  ainfo ajax alerts ambiguous annotate announce artifact attachadd attachdownload attachimage attachlist
  attachview background bigbloblist blame bloblist brlist brtimeline builtin cacheget cachestat
  captcha-audio chat chat-backup chat-delete chat-download chat-fetch-one chat-poll chat-query chat-send ci
  ckout clusterlist cookies deltachain dir doc docdir docfile docsrch download errorlog event eventedit ext
  extfilelist fdiff fdscookie file fileage fileedit finfo forum forume1 forume2 forumedit forummain forumnew
  forumpost forumthread forumthreadhashlist hash-collisions hash-color-test help hexdump home honeypot
  howtoclone index info intermap ityaar jchunk json juvlist leaves login logo logout mlink modreq my
  oneclickunsub phantoms pikchrshow praise raw rchvdwnld rcvfrom rcvfromlist register renew repo-tabsize
  reportlist reports reqpwreset resetpw rptedit rptnew rptsql rptview search secaudit0 secureraw setseekey
  setup setup-logmenu shun sitemap sitemap-test sitemap-timeline skins sqlar srchsetup stat subscribe
  subscribers taglist tagtimeline takeitprivate tarball technote technoteedit test-all-help
  test-backlink-timeline test-backlinks test-bgcolor test-builtin-files test-captcha test-captcha-audio
  test-env test-ftsdocs test-overload test-pid test-piechart test-rename-list test-robotck test-title
  test-warning thisdayinhistory ticket timeline timewarps tinfo tktedit tkthistory tktnew tktsetup tktsrch
  tkttimeline tktview tokens tree unsetseekey unsubscribe urllist uv uvlist vdiff version vinfo vpatch
  waliassetup wcontent wdiff wfind whatis whistory wiki wikiajax wikiappend wikiedit wikihelp wikinew
  wikisrch winfo xfer xfersetup zip
  `
    .trim()
    .split(/\s+/),
);
